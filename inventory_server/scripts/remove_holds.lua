#!lua flags=allow-oom
--[[ remove_holds — Removes ended holds whose retention time is over.
  KEYS  1 ended  2 refs (home)
  ARGV  1 now_ms ("" = TIME)  2 home  3 retention_ms  4 max_holds
  Returns
    ok   removed more                         more: 1 where others may be over too
  Cost  O(max_holds). May run anywhere, any number of times. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
local now, retention_ms, max_holds = read_now(ARGV[1]), whole(ARGV[3], 0), whole(ARGV[4], 1)
check_key(KEYS[1], partition_key(ARGV[2], 'ended'))
check_key(KEYS[2], partition_key(ARGV[2], 'refs'))
redis.call('ZCARD', KEYS[2])
-- The list is in the order in which holds ended, as good as.
-- One that was taken again after it had expired stands there twice, the second
-- time with a "+", and is removed when that has come to the front.
local over, taken = {}, 0
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, max_holds - 1)) do
  local id, again = match(entry, '^(.-)(%+?)$')
  local hold = find_hold(id)
  if hold and hold.word ~= 'HELD' then
    if now >= hold.resolved + retention_ms then
      over[#over + 1] = hold
    elseif again == '+' or now < hold.deadline + retention_ms then
      break
    end
  end
  taken = taken + 1
end

-- COMMIT
for _, hold in ipairs(over) do
  redis.call('DEL', hold.key)
  local reference = reference_of(hold)
  if reference ~= '' then redis.call('ZREM', KEYS[2], reference .. '\0' .. hold.id) end
end
if taken > 0 then redis.call('LTRIM', KEYS[1], taken, -1) end
return { 'ok', #over, taken == max_holds and 1 or 0 }
