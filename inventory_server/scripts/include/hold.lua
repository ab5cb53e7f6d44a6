-- A hold: its value, and the keys that its record names. Only a hold's own
-- record may name keys that the caller did not declare; the names are those
-- of stores/keys.py, and a test compares the two.
--
-- The value is "state\nverbs\nrecord". The record never changes and has eight
-- parts, one a line: fingerprint, placed, lines, levels, caller, actor,
-- reference, note. No part can hold a line break.
local function partition_key(number, name)
  return 'inv:{' .. number .. '}:' .. name
end

local function home_of(id)
  return match(id, '^%d+')
end

-- Reads a hold; nil where there is none.
local function read_hold(key, id)
  local value = redis.call('GET', key)
  if not value then return nil end
  local state, verbs, record = match(value, '^([^\n]*)\n([^\n]*)\n(.*)$')
  local word, deadline = match(state or '', '^(%u+) (%d+)')
  if not word then error('not a hold: ' .. key) end
  return {
    key = key, id = id, home = home_of(id), record = record, state = state, word = word,
    deadline = tonumber(deadline), verbs = verbs, fingerprint = match(record, '^[^\n]*'),
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

-- The hold's lines with their levels, read through `levels` so that holds of
-- one script share them. Fails where a key that they are indexed under is not
-- of its type.
local function read_lines(hold, levels)
  local lines = {}
  local each_line = string.gmatch(packed_lines(hold), '(%d+) (%S+) (%S+) (%d+)')
  for number, location, sku, quantity in each_line do
    local prefix = partition_key(number, '')
    local key = prefix .. 'level:' .. location .. ':' .. sku
    levels[key] = levels[key] or read_level(key)
      or error('hold ' .. hold.id .. ' names a level that is not there: ' .. key)
    lines[#lines + 1] = {
      number = number, location = location, sku = sku, quantity = tonumber(quantity),
      level = levels[key], low = prefix .. 'low:' .. location,
      due = prefix .. 'due:' .. location .. ':' .. sku,
    }
    redis.call('ZCARD', lines[#lines].due)
    redis.call('SCARD', lines[#lines].low)
  end
  return lines
end
