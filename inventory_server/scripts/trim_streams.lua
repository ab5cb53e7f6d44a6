#!lua flags=allow-oom
--[[ trim_streams — Takes the oldest entries out of a partition's journal and alerts.
  KEYS  1 meta  2 journal  3 alerts
  ARGV  1 now_ms ("" = TIME)  2 max_age_ms  3 max_entries  4 max_trimmed
        5 keeps_uncopied ("1" or ""; the last copied one stays too)
  Returns
    ok   trimmed more uncopied                more: 1 where others are too old as well;
                                              uncopied: so many were not in the durable copy
  Cost  O(max_trimmed), and O(log(entries)) to look. May run anywhere, any number of times. ]]
-- include: arguments.lua
local now, max_age_ms, max_entries = read_now(ARGV[1]), whole(ARGV[2], 0), whole(ARGV[3], 1)
local max_trimmed, keeps_uncopied = whole(ARGV[4], 1), is_set(ARGV[5])
if not find(KEYS[1], '^inv:{%d+}:meta$') or KEYS[2] ~= match(KEYS[1], '^.*:') .. 'journal'
    or KEYS[3] ~= match(KEYS[1], '^.*:') .. 'alerts' then
  error('not the keys of a partition: ' .. KEYS[1])
end
local stored = redis.call('HMGET', KEYS[1], 'seq', 'copied')
local seq, copied = tonumber(stored[1] or 0), tonumber(stored[2] or 0)
local length = redis.call('XLEN', KEYS[2])
redis.call('XLEN', KEYS[3])
if length == 0 then return { 'ok', 0, 0, 0 } end

-- The first entry that stays. Times rise with seqs, but where the clock was set back.
local function is_old(number)
  local entry = redis.call('XRANGE', KEYS[2], format('%d-0', number), '+', 'COUNT', 1)[1]
  for n = 1, entry and #entry[2] or 0, 2 do
    if entry[2][n] == 'at_ms' then return now - tonumber(entry[2][n + 1]) >= max_age_ms end
  end
  return false
end
local first = seq - length + 1
local low, high = first, seq + 1
while low < high do
  local middle = math.floor((low + high) / 2)
  if is_old(middle) then low = middle + 1 else high = middle end
end
local keep_from = math.max(low, seq - max_entries + 1)
if keeps_uncopied then keep_from = math.min(keep_from, math.max(copied, first)) end
local trimmed = math.min(keep_from - first, max_trimmed)
if trimmed <= 0 then return { 'ok', 0, 0, 0 } end
local more = keep_from - first > trimmed and 1 or 0

local last = first + trimmed - 1
local uncopied = math.max(0, last - math.max(copied, first - 1))

-- COMMIT
keep_from = format('%d', last + 1)
redis.call('HSET', KEYS[1], 'kept_from', keep_from)
redis.call('XTRIM', KEYS[2], 'MINID', keep_from .. '-0')
redis.call('XTRIM', KEYS[3], 'MINID', keep_from .. '-0')
return { 'ok', trimmed, more, uncopied }
