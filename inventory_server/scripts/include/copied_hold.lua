-- A hold as the durable copy has it, and the indexes that name it.

-- Fails where it is none, or not at home in this partition. Its `due` has the key of each of its
-- lines that its level's open holds stand under, and whether it is one of them.
local function copied_hold(home, key, id, state, record)
  local word, deadline, resolved, parts = match(state, '^(%u+) (%d+) ?(%S*) ?(%S*)$')
  local _, breaks = string.gsub(record, '\n', '')
  if not find(id, '^%d+%-[a-z2-7]+$') or home_of(id) ~= home or breaks ~= 7
      or not (word == 'HELD' or ALL_OF[word]) or (word ~= 'HELD' and not tonumber(resolved)) then
    error('not a hold: ' .. id)
  end
  check_key(key, partition_key(home, 'hold:' .. id))
  local hold = { id = id, key = key, word = word, deadline = tonumber(deadline), parts = parts,
    resolved = tonumber(resolved), state = state, record = record, verbs = '', due = {} }
  local lines = parse_lines(hold)
  if #lines == 0 then error('not the lines of a hold: ' .. id) end
  for _, line in ipairs(lines) do
    local due = partition_key(line.number, 'due:' .. line.location .. ':' .. line.sku)
    hold.due[due] = line.held > 0
  end
  return hold
end

-- Writes it. `is_again`: it had ended before, and was taken again.
local function write_copied_hold(hold, due_key, ended_key, refs_key, is_again)
  local deadline, reference = format('%d', hold.deadline), reference_of(hold)
  write_hold(hold)
  if reference ~= '' then redis.call('ZADD', refs_key, '0', reference .. '\0' .. hold.id) end
  for key, is_held in pairs(hold.due) do
    if is_held then
      redis.call('ZADD', key, deadline, hold.id)
    else
      redis.call('ZREM', key, hold.id)
    end
  end
  if hold.word == 'HELD' then
    redis.call('ZADD', due_key, deadline, hold.id)
  else
    redis.call('ZREM', due_key, hold.id)
    redis.call('RPUSH', ended_key, hold.id .. (is_again and '+' or ''))
  end
end
