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

-- Reads a hold by its id; nil where there is none.
local function find_hold(id)
  local home = home_of(id)
  if not home then error('not a hold\'s id: ' .. id) end
  local key = partition_key(home, 'hold:' .. id)
  local value = redis.call('GET', key)
  if not value then return nil end
  local word, deadline, resolved, parts, verbs, record =
    match(value, '^(%u+) (%d+) ?([^ \n]*) ?([^ \n]*)\n([^\n]*)\n(.*)$')
  if not word then error('not a hold: ' .. key) end
  return {
    key = key, id = id, home = home, record = record, word = word, verbs = verbs,
    state = match(value, '^[^\n]*'), parts = parts,
    deadline = tonumber(deadline), resolved = tonumber(resolved),
  }
end

-- The same under the key that the caller names.
local function read_hold(key, id)
  check_key(key, partition_key(home_of(id) or '', 'hold:' .. id))
  return find_hold(id)
end

local function write_hold(hold)
  redis.call('SET', hold.key, hold.state .. '\n' .. hold.verbs .. '\n' .. hold.record)
end

local function fingerprint_of(hold)
  return match(hold.record, '^[^\n]*')
end

local function packed_lines(hold)
  return match(hold.record, '^[^\n]*\n[^\n]*\n([^\n]*)')
end

local function reference_of(hold)
  return match(hold.record, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)')
end
