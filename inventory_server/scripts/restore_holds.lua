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
local holds, due_keys = {}, {}
for i, name in ipairs({ 'meta', 'due', 'ended', 'refs' }) do
  check_key(KEYS[i], partition_key(ARGV[1], name))
end
if not is_restoring(KEYS[1]) then return { 'not_restoring' } end
if #ARGV - 1 ~= 3 * (#KEYS - 4) then error('not three arguments a hold') end
for i = 5, #KEYS do
  local id, state, record = ARGV[3 * i - 13], ARGV[3 * i - 12], ARGV[3 * i - 11]
  local word, deadline, resolved, parts = match(state, '^(%u+) (%d+) ?(%S*) ?(%S*)$')
  local _, breaks = string.gsub(record, '\n', '')
  if not find(id, '^%d+%-[a-z2-7]+$') or home_of(id) ~= ARGV[1] or breaks ~= 7
      or not (word == 'HELD' or ALL_OF[word]) or (word ~= 'HELD' and not tonumber(resolved)) then
    error('not a hold: ' .. id)
  end
  check_key(KEYS[i], partition_key(ARGV[1], 'hold:' .. id))
  check_absent(KEYS[i])
  local hold = { id = id, key = KEYS[i], word = word, deadline = tonumber(deadline), parts = parts,
    resolved = tonumber(resolved), state = state, record = record, verbs = '', due = {} }
  local lines = parse_lines(hold)
  if #lines == 0 then error('not the lines of a hold: ' .. id) end
  for _, line in ipairs(lines) do
    local key = partition_key(line.number, 'due:' .. line.location .. ':' .. line.sku)
    if line.held > 0 then hold.due[#hold.due + 1] = key end
    due_keys[key] = true
  end
  holds[#holds + 1] = hold
end
redis.call('ZCARD', KEYS[2])
redis.call('LLEN', KEYS[3])
redis.call('ZCARD', KEYS[4])
for key in pairs(due_keys) do redis.call('ZCARD', key) end

-- COMMIT
for _, hold in ipairs(holds) do
  local deadline, reference = format('%d', hold.deadline), reference_of(hold)
  write_hold(hold)
  if reference ~= '' then redis.call('ZADD', KEYS[4], '0', reference .. '\0' .. hold.id) end
  if hold.word == 'HELD' then
    redis.call('ZADD', KEYS[2], deadline, hold.id)
    for _, key in ipairs(hold.due) do redis.call('ZADD', key, deadline, hold.id) end
  else
    -- One that ended after its deadline was taken again.
    redis.call('RPUSH', KEYS[3], hold.id .. (hold.resolved > hold.deadline and '+' or ''))
  end
end
return { 'ok' }
