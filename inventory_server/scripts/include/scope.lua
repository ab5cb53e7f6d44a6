-- The scope of a verb whose keys the caller names: partitions, locations and
-- lines, each as many KEYS and ARGV as stands here.
--   partition  KEYS meta, journal, alerts, inactive, locations*  ARGV number, epoch, seen_seq
--   location   KEYS low, skus*  ARGV index of its partition, name
--   line       KEYS level, due  ARGV index of its location, sku, `values` amounts
-- * only of verbs that make levels. `counts` reads "partitions locations lines store_id".
-- Amounts are whole numbers from `least`. Fails where names and keys do not fit.
local function read_scope(key_at, arg_at, counts, values, least, makes_levels)
  local partition_count, location_count, line_count, store_id =
    match(counts, '^(%d+) (%d+) (%d+) (%w+)$')
  local partitions, locations, lines = {}, {}, {}
  for i = 1, tonumber(partition_count) do
    local prefix = partition_key(ARGV[arg_at], '')
    check_key(KEYS[key_at], prefix .. 'meta')
    check_key(KEYS[key_at + 1], prefix .. 'journal')
    check_key(KEYS[key_at + 2], prefix .. 'alerts')
    check_key(KEYS[key_at + 3], prefix .. 'inactive')
    if makes_levels then check_key(KEYS[key_at + 4], prefix .. 'locations') end
    local partition, refusal = open_partition(ARGV[arg_at], KEYS[key_at], KEYS[key_at + 1],
      store_id, ARGV[arg_at + 1], whole(ARGV[arg_at + 2], 0))
    if refusal then return nil, refusal end
    partition.prefix, partition.inactive = prefix, KEYS[key_at + 3]
    partition.locations = makes_levels and KEYS[key_at + 4]
    partitions[i] = partition
    key_at, arg_at = key_at + (makes_levels and 5 or 4), arg_at + 3
  end
  check_journals(partitions)
  for i = 1, tonumber(location_count) do
    locations[i] = {
      low = KEYS[key_at], skus = makes_levels and KEYS[key_at + 1],
      partition = partitions[tonumber(ARGV[arg_at])], name = ARGV[arg_at + 1],
    }
    local prefix = locations[i].partition.prefix
    check_key(KEYS[key_at], prefix .. 'low:' .. ARGV[arg_at + 1])
    if makes_levels then check_key(KEYS[key_at + 1], prefix .. 'skus:' .. ARGV[arg_at + 1]) end
    key_at, arg_at = key_at + (makes_levels and 2 or 1), arg_at + 2
  end
  for i = 1, tonumber(line_count) do
    local location = locations[tonumber(ARGV[arg_at])]
    lines[i] = {
      key = KEYS[key_at], due = KEYS[key_at + 1], low = location.low, within = location,
      partition = location.partition, inactive = location.partition.inactive,
      location = location.name, sku = ARGV[arg_at + 1],
      amount = values > 0 and whole(ARGV[arg_at + 2], least) or nil,
      expected = values > 1 and ARGV[arg_at + 3] or nil, level = read_level(KEYS[key_at]),
    }
    local prefix, name = location.partition.prefix, location.name .. ':' .. lines[i].sku
    check_key(KEYS[key_at], prefix .. 'level:' .. name)
    check_key(KEYS[key_at + 1], prefix .. 'due:' .. name)
    key_at, arg_at = key_at + 2, arg_at + 2 + values
  end
  if key_at ~= #KEYS + 1 or arg_at ~= #ARGV + 1 then error('not the scope that its counts say') end
  return { partitions = partitions, locations = locations, lines = lines }
end

-- The numbers of the lines whose level is not there.
local function missing_lines(lines)
  local missing = {}
  for i, line in ipairs(lines) do
    if not line.level then missing[#missing + 1] = i end
  end
  return missing
end

-- Refuses for want of units: { status, number, fact... }, unless a hold whose
-- deadline has passed still counts on one of those lines. Then the answer is
-- { 'due', number... }, and the caller has them expired first.
local function refuse(status, lines, short, facts, now)
  local due = { 'due' }
  for _, i in ipairs(short) do
    if redis.call('ZCOUNT', lines[i].due, '-inf', now) > 0 then due[#due + 1] = i end
  end
  if #due > 1 then return due end
  local answer = { status }
  for n, i in ipairs(short) do
    answer[#answer + 1] = i
    for _, fact in ipairs(facts and facts[n] or {}) do answer[#answer + 1] = fact end
  end
  return answer
end
