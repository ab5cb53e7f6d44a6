#!lua
--[[ restore_holds — Writes holds as the durable copy has them, with the indexes that name them.
  Their later verbs are forgotten.
  KEYS  1 meta  2 due (home)  3 ended (home)  4 refs (home)  5.. hold
  ARGV  1 home  2.. a hold (hold_id, state, record), those that have ended in the order in which
        they did
  Returns
    not_restoring                             no restore has begun, or it is finished
    ok
  Cost  O(lines). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
-- include: restore.lua
-- include: copied_hold.lua
local holds, due_keys = {}, {}
for i, name in ipairs({ 'meta', 'due', 'ended', 'refs' }) do
  check_key(KEYS[i], partition_key(ARGV[1], name))
end
if not is_restoring(KEYS[1]) then return { 'not_restoring' } end
if #ARGV - 1 ~= 3 * (#KEYS - 4) then error('not three arguments a hold') end
for i = 5, #KEYS do
  local hold = copied_hold(ARGV[1], KEYS[i], unpack(ARGV, 3 * i - 13, 3 * i - 11))
  check_absent(KEYS[i])
  for key in pairs(hold.due) do due_keys[key] = true end
  holds[#holds + 1] = hold
end
redis.call('ZCARD', KEYS[2])
redis.call('LLEN', KEYS[3])
redis.call('ZCARD', KEYS[4])
for key in pairs(due_keys) do redis.call('ZCARD', key) end

-- COMMIT
for _, hold in ipairs(holds) do
  -- One that ended after its deadline was taken again.
  local is_again = hold.word ~= 'HELD' and hold.resolved > hold.deadline
  write_copied_hold(hold, KEYS[2], KEYS[3], KEYS[4], is_again)
end
return { 'ok' }
