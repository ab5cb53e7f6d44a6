-- A hold: its value, and the keys that its record names. Only a hold's own
-- record may name keys that the caller did not declare; the names are those
-- of stores/keys.py, and a test compares the two.
--
-- The value is "state\nverbs\nrecord". The record never changes and has eight
-- parts, one a line: fingerprint, placed, lines, levels, caller, actor,
-- reference, note. No part can hold a line break.
--
-- The state is "WORD deadline[ resolved[ parts]]". Where not all units went
-- one way, parts says how: "confirmed:released:expired" of each line.
local function home_of(id)
  return match(id, '^%d+')
end

-- Reads a hold; nil where there is none.
local function read_hold(key, id)
  local value = redis.call('GET', key)
  if not value then return nil end
  local state, verbs, record = match(value, '^([^\n]*)\n([^\n]*)\n(.*)$')
  local word, deadline, resolved, parts = match(state or '', '^(%u+) (%d+) ?(%S*) ?(%S*)$')
  if not word or key ~= partition_key(home_of(id) or '', 'hold:' .. id) then
    error('not a hold: ' .. key)
  end
  return {
    key = key, id = id, home = home_of(id), record = record, state = state, word = word,
    deadline = tonumber(deadline), resolved = tonumber(resolved), parts = parts, verbs = verbs,
    fingerprint = match(record, '^[^\n]*'),
  }
end

local function write_hold(hold)
  redis.call('SET', hold.key, hold.state .. '\n' .. hold.verbs .. '\n' .. hold.record)
end

local function packed_lines(hold)
  return match(hold.record, '^[^\n]*\n[^\n]*\n([^\n]*)')
end

local function reference_of(hold)
  return match(hold.record, '\n([^\n]*)\n[^\n]*$')
end

-- The hold's lines, each with how many of its units went where.
local function parse_lines(hold)
  local lines, all = {}, { CONFIRMED = 'confirmed', RELEASED = 'released', EXPIRED = 'expired' }
  local parts = hold.parts ~= '' and string.gmatch(hold.parts, '(%d+):(%d+):(%d+)')
  local each_line = string.gmatch(packed_lines(hold), '(%d+) (%S+) (%S+) (%d+)')
  for number, location, sku, quantity in each_line do
    local line = { number = number, location = location, sku = sku, quantity = tonumber(quantity),
      confirmed = 0, released = 0, expired = 0 }
    if parts then
      local confirmed, released, expired = parts()
      line.confirmed, line.released = tonumber(confirmed), tonumber(released)
      line.expired = tonumber(expired)
    elseif hold.word ~= 'HELD' then
      line[all[hold.word]] = line.quantity
    end
    line.held = line.quantity - line.confirmed - line.released - line.expired
    lines[#lines + 1] = line
  end
  return lines
end

-- The same with their levels and keys, read through `levels` so that holds of
-- one script share them. Fails where a level is not there though units of the
-- hold are held, and where a key that they are indexed under is not of its type.
local function read_lines(hold, levels)
  local lines = parse_lines(hold)
  for _, line in ipairs(lines) do
    local prefix = partition_key(line.number, '')
    local key = prefix .. 'level:' .. line.location .. ':' .. line.sku
    levels[key] = levels[key] or read_level(key)
    line.level, line.low = levels[key], prefix .. 'low:' .. line.location
    line.due = prefix .. 'due:' .. line.location .. ':' .. line.sku
    if not line.level and line.held > 0 then
      error('hold ' .. hold.id .. ' names a level that is not there: ' .. key)
    end
    redis.call('ZCARD', line.due)
    redis.call('SCARD', line.low)
  end
  return lines
end

-- The state that follows from where the lines' units went.
local function judge_state(lines, deadline, resolved)
  local total, held, confirmed, released, expired, parts = 0, 0, 0, 0, 0, {}
  for i, line in ipairs(lines) do
    total, held, confirmed = total + line.quantity, held + line.held, confirmed + line.confirmed
    released, expired = released + line.released, expired + line.expired
    parts[i] = format('%d:%d:%d', line.confirmed, line.released, line.expired)
  end
  local word = held > 0 and 'HELD' or confirmed > 0 and 'CONFIRMED'
    or expired > 0 and 'EXPIRED' or 'RELEASED'
  local state = format('%s %d', word, deadline)
  local is_whole = math.max(held, confirmed, released, expired) == total
  if word == 'HELD' and is_whole then return state end
  state = state .. ' ' .. (word == 'HELD' and '-' or format('%d', resolved))
  return is_whole and state or state .. ' ' .. table.concat(parts, ',')
end
