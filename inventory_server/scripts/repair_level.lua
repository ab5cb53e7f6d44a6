#!lua
--[[ repair_level — Sets a level's held and its indexes to what the open holds say.
  KEYS  1 idempotency record  2.. the scope (include/scope.lua), of one line
  ARGV  1 now_ms ("" = TIME)  2 op  3 fingerprint  4 actor  5 retention_ms
        6 max_holds  7 validate_only ("1" or "")
        8 hold ids ("id,..."; those found outside of the level's due too)
        9 scope counts  10.. the scope
  Returns, first match wins
    rewound          number epoch seq store_id   the store went back in time
    replay           outcome                  the same request, seen before
    key_reused                                the key of another request
    level_not_found  number
    level_busy       open_holds               more than one step may look at
    unchanged        level                    nothing is wrong
    valid            level level repairs      validate_only: before, after, sentences with ";"
    ok               outcome                  "at_ms epoch n:seq level|level|repairs"
  Cost  O(max_holds). Writes nothing unless it returns ok. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: scope.lua
-- include: inactive.lua
-- include: quiet.lua
-- include: hold.lua
-- include: hold_lines.lua
-- include: stock_verb.lua
check_origin(ARGV[2], ARGV[3], ARGV[4])
local now, retention_ms, max_holds = read_now(ARGV[1]), whole(ARGV[5], 1), whole(ARGV[6], 1)
local only_looks = is_set(ARGV[7])
local by = {
  op = ARGV[2], actor = ARGV[4], reference = '', note = '', reason = '', at = format('%d', now),
}
local scope, refusal = read_scope(2, 10, ARGV[9], 0, 0, true)
if refusal then return refusal end
local known, line = answer_known(KEYS[1], ARGV[3]), scope.lines[1]
if known and not only_looks then return known end
local level = line.level
if not level then return { 'level_not_found', 1 } end
local indexed, ids, repairs = {}, {}, {}
local entries = redis.call('ZRANGE', line.due, 0, max_holds, 'WITHSCORES')
for n = 1, #entries, 2 do
  indexed[entries[n]], ids[#ids + 1] = tonumber(entries[n + 1]), entries[n]
end
for id in string.gmatch(ARGV[8], '[^,]+') do
  if not find(id, '^%d+%-%w+$') then error('not the id of a hold: ' .. id) end
  if not indexed[id] then ids[#ids + 1] = id end
end
if #ids > max_holds then return { 'level_busy', #ids } end

-- What each hold says; "home" is where its own partition has it indexed.
local sum, missing, foreign, home = 0, {}, {}, {}
for _, id in ipairs(ids) do
  local hold = home_of(id) and find_hold(id)
  local units = hold and units_of(hold, line.location, line.sku) or 0
  if units > 0 then
    local due = partition_key(hold.home, 'due')
    local score = tonumber(redis.call('ZSCORE', due, id) or nil)
    sum = sum + units
    if indexed[id] ~= hold.deadline then missing[#missing + 1] = hold end
    if score ~= hold.deadline then home[#home + 1] = { due = due, hold = hold } end
  elseif indexed[id] then
    foreign[#foreign + 1] = id
  end
end
local before = redis.call('GET', level.key)
local is_low = redis.call('ZSCORE', line.low, line.sku) ~= false
local is_listed = redis.call('ZSCORE', line.within.skus, line.sku)
if sum ~= level.held then repairs[1] = format('held was %d', level.held) end
for text, list in pairs({ ['due lacked %d holds'] = missing, ['due named %d holds'] = foreign,
    ['the home of %d holds lacked them'] = home }) do
  if #list > 0 then repairs[#repairs + 1] = format(text, #list) end
end
if not is_listed then repairs[#repairs + 1] = 'skus lacked the level' end
local stored_state, held_delta = level.alert_state, sum - level.held
quiet_worse(scope.lines, { -held_delta })
change_level(level, 0, held_delta)
if is_low == (stored_state == 'OK') then repairs[#repairs + 1] = 'low was wrong' end
if held_delta == 0 and level.alert_state ~= stored_state then
  repairs[#repairs + 1] = 'alert_state was ' .. stored_state
end
if #repairs == 0 then return { 'unchanged', before } end
local after, text = level.packed, table.concat(repairs, ';')
check_indexes(scope)
if only_looks then return { 'valid', before, after, text } end

-- COMMIT
append_movement(line.partition, 'REPAIR', by, 1, line, 0, held_delta)
redis.call('SET', level.key, after)
write_low(level, line.low, line.sku)
redis.call('ZADD', line.within.skus, '0', line.sku)
for _, id in ipairs(foreign) do redis.call('ZREM', line.due, id) end
for _, hold in ipairs(missing) do
  redis.call('ZADD', line.due, format('%d', hold.deadline), hold.id)
end
for _, entry in ipairs(home) do
  redis.call('ZADD', entry.due, format('%d', entry.hold.deadline), entry.hold.id)
end
return keep_outcome(scope, KEYS[1], ARGV[3], by, before .. '|' .. after .. '|' .. text,
  retention_ms)
