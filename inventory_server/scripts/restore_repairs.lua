#!lua
--[[ restore_repairs — Journals what a restore had to change in levels so that they fit the holds.
  KEYS  1 meta  2 journal
  ARGV  1 number  2 at_ms  3 op  4 seq (of the first)
        5.. a repair (location, sku, on_hand_delta, held_delta, hold_id, packed)
  Returns
    not_restoring                             no restore has begun, or it is finished
    ok
  Cost  O(repairs). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: restore.lua
check_key(KEYS[1], partition_key(ARGV[1], 'meta'))
check_key(KEYS[2], partition_key(ARGV[1], 'journal'))
check_origin(ARGV[3], '-', table.concat(ARGV, '', 5))
if not is_restoring(KEYS[1]) then return { 'not_restoring' } end
local by = { op = ARGV[3], actor = 'restore', reason = '', note = '', reference = '' }
local partition, repairs = { journal = KEYS[2], seq = whole(ARGV[4], 1) - 1 }, {}
by.at = format('%d', whole(ARGV[2], 0))
if (#ARGV - 4) % 6 ~= 0 then error('not six arguments a repair') end
for i = 5, #ARGV, 6 do
  local packed, id = ARGV[i + 5], ARGV[i + 4]
  check_place(ARGV[i], ARGV[i + 1])
  if not find(packed, '^%-?%d+ %d+ %d+') then error('not a level: ' .. packed) end
  if id ~= '' and not find(id, '^%d+%-[a-z2-7]+$') then error('not a hold: ' .. id) end
  repairs[#repairs + 1] = { hold = id ~= '' and { id = id } or nil,
    on_hand = whole(ARGV[i + 2], -99999999999999), held = whole(ARGV[i + 3], -99999999999999),
    line = { location = ARGV[i], sku = ARGV[i + 1], level = { packed = packed } } }
end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
if last and tonumber(match(last[1], '^%d+')) > partition.seq then
  error('the journal is further on: ' .. KEYS[2])
end

-- COMMIT
for i, repair in ipairs(repairs) do
  append_movement(partition, 'REPAIR', by, i, repair.line, repair.on_hand, repair.held,
    repair.hold)
end
return { 'ok' }
