-- A hold: its hash, and the keys that its record names. Only a hold's own
-- record may name keys that the caller did not declare; the names are those
-- of stores/keys.py, and a test compares the two.
local function level_key(number, location, sku)
  return 'inv:{' .. number .. '}:level:' .. location .. ':' .. sku
end

local function level_due_key(number, location, sku)
  return 'inv:{' .. number .. '}:due:' .. location .. ':' .. sku
end

local function low_key(number, location)
  return 'inv:{' .. number .. '}:low:' .. location
end

local function partition_key(number, name)
  return 'inv:{' .. number .. '}:' .. name
end

-- Reads a hold; nil where there is none. `record` is what never changes, one
-- part a line: no part can hold a line break.
local function read_hold(key, id)
  local f = redis.call('HMGET', key, 'fingerprint', 'placed', 'lines', 'levels', 'caller',
    'actor', 'reference', 'note', 'state', 'verbs')
  if not f[1] then return nil end
  for i = 5, 8 do f[i] = f[i] or '' end
  local word, deadline = string.match(f[9], '^(%u+) (%d+)')
  return {
    key = key, id = id, home = string.match(id, '^%d+'), fingerprint = f[1], packed_lines = f[3],
    reference = f[7], record = table.concat(f, '\n', 1, 8), state = f[9], word = word,
    deadline = tonumber(deadline), verbs = f[10] or '',
  }
end

-- The hold's lines with their levels, read through `levels` so that holds of
-- one script share them.
local function read_lines(hold, levels)
  local lines = {}
  for number, location, sku, quantity in string.gmatch(hold.packed_lines, '(%d+) (%S+) (%S+) (%d+)') do
    local key = level_key(number, location, sku)
    if not levels[key] then levels[key] = read_level(key) end
    if not levels[key] then error('hold ' .. hold.id .. ' names a level that is not there: ' .. key) end
    lines[#lines + 1] = {
      number = number, location = location, sku = sku, quantity = tonumber(quantity),
      level = levels[key], low = low_key(number, location),
      due = level_due_key(number, location, sku),
    }
  end
  return lines
end

-- The entry of a later verb under this op, or nil: its verb, fingerprint and
-- outcome. Entries read "VERB op fingerprint outcome", one after another with
-- ";" between.
local function find_verb(hold, op)
  local from = string.find(hold.verbs, ' ' .. op .. ' ', 1, true)
  if not from then return nil end
  local verb = string.match(string.sub(hold.verbs, 1, from - 1), '(%u+)$')
  local fingerprint, outcome = string.match(hold.verbs, '^(%S+) ([^;]*)', from + #op + 2)
  return verb, fingerprint, outcome
end

-- The outcome of the verb that ended the hold.
local function last_outcome(hold)
  return string.match(hold.verbs, '%u+ %S+ %S+ ([^;]*)$')
end
