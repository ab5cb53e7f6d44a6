-- The lines of a hold: where the units of each went, their levels and keys, and
-- the state of the hold that follows.

-- Where all units went of a hold without parts that has ended.
local ALL_OF = { CONFIRMED = 'confirmed', RELEASED = 'released', EXPIRED = 'expired' }

-- The hold's lines, each with how many of its units went where.
local function parse_lines(hold)
  local lines = {}
  local parts = hold.parts ~= '' and string.gmatch(hold.parts, '(%d+):(%d+):(%d+)')
  local each_line = string.gmatch(packed_lines(hold), '(%d+) (%S+) (%S+) (%d+)')
  for number, location, sku, quantity in each_line do
    local units = tonumber(quantity)
    local line = { number = number, location = location, sku = sku, quantity = units,
      confirmed = 0, released = 0, expired = 0, held = units }
    if parts then
      local confirmed, released, expired = parts()
      line.confirmed, line.released = tonumber(confirmed), tonumber(released)
      line.expired = tonumber(expired)
    elseif hold.word ~= 'HELD' then
      line[ALL_OF[hold.word]] = line.quantity
    end
    if parts or hold.word ~= 'HELD' then
      line.held = units - line.confirmed - line.released - line.expired
    end
    lines[#lines + 1] = line
  end
  return lines
end

-- How many units of a level the hold holds; nil where it has no such line. A
-- hold may have many lines, and mostly one is asked for: it is not taken apart.
local function units_of(hold, location, sku)
  local packed = packed_lines(hold)
  local _, at = find(packed, ' ' .. location .. ' ' .. sku .. ' ', 1, true)
  if not at then return nil end
  if hold.word ~= 'HELD' then return 0 end
  if hold.parts == '' then return tonumber(match(packed, '^%d+', at + 1)) end
  for _, line in ipairs(parse_lines(hold)) do
    if line.location == location and line.sku == sku then return line.held end
  end
end

-- The same with their levels and keys, kept in `levels` so that holds of one
-- script share them, each checked once. Fails where a level is not there
-- though units of the hold are held, and where a key that they are indexed
-- under is not of its type.
local function read_lines(hold, levels)
  local lines = parse_lines(hold)
  for _, line in ipairs(lines) do
    local name = line.location .. ':' .. line.sku
    local known = levels[name]
    if not known then
      local prefix = partition_key(line.number, '')
      known = { level = read_level(prefix .. 'level:' .. name), due = prefix .. 'due:' .. name,
        low = prefix .. 'low:' .. line.location }
      redis.call('ZCARD', known.due)
      redis.call('ZCARD', known.low)
      levels[name] = known
    end
    line.level, line.due, line.low = known.level, known.due, known.low
    if not line.level and line.held > 0 then
      error('hold ' .. hold.id .. ' names a level that is not there: ' .. name)
    end
  end
  return lines
end

-- The state that follows from where the lines' units went.
local function judge_state(lines, deadline, resolved)
  local total, held, confirmed, released, expired = 0, 0, 0, 0, 0
  for _, line in ipairs(lines) do
    total, held, confirmed = total + line.quantity, held + line.held, confirmed + line.confirmed
    released, expired = released + line.released, expired + line.expired
  end
  local word = held > 0 and 'HELD' or confirmed > 0 and 'CONFIRMED'
    or expired > 0 and 'EXPIRED' or 'RELEASED'
  local is_whole = held == total or confirmed == total or released == total or expired == total
  if word ~= 'HELD' and is_whole then return format('%s %d %d', word, deadline, resolved) end
  local state = format('%s %d', word, deadline)
  if is_whole then return state end
  local parts = {}
  for i, line in ipairs(lines) do
    parts[i] = format('%d:%d:%d', line.confirmed, line.released, line.expired)
  end
  resolved = word == 'HELD' and '-' or format('%d', resolved)
  return table.concat({ state, resolved, table.concat(parts, ',') }, ' ')
end
