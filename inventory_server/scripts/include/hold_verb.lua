-- What confirm, release, extend and expire share: the partitions that a
-- hold's lines are in, the end of a hold, and its memory of later verbs.

-- At most this many later verbs are remembered a hold; the oldest goes first.
local MAX_VERBS = 32

-- Opens the partitions of these lines, each once, the first line's first.
-- `guards` reads "store_id n=epoch:seen_seq n=epoch:seen_seq ...".
local function open_partitions(lines, guards, opened)
  for _, line in ipairs(lines) do
    if not opened[line.number] then
      local epoch, seen_seq = match(guards, ' ' .. line.number .. '=(%d+):(%d+)')
      if not epoch then error('no partition ' .. line.number) end
      local partition, refusal = open_partition(line.number, partition_key(line.number, 'meta'),
        partition_key(line.number, 'journal'), match(guards, '^%w+'), epoch, seen_seq)
      if refusal then return refusal end
      opened[line.number] = partition
      opened[#opened + 1] = partition
    end
  end
  check_journals(opened)
end

-- Who and why, for the journal.
local function new_reason(hold, op, actor, now)
  return {
    op = op, actor = actor, reason = '', note = '', reference = reference_of(hold),
    at = format('%d', now),
  }
end

-- Ends every line of the hold: `sold` says whether its units leave the shelf
-- or go back. Answers the levels as they became.
local function end_lines(hold, lines, opened, kind, by, sold)
  local packed = {}
  for i, line in ipairs(lines) do
    local on_hand_delta = sold and -line.quantity or 0
    change_level(line.level, on_hand_delta, -line.quantity)
    packed[i] = line.level.packed
    append_movement(opened[line.number], kind, by, i, line, on_hand_delta, -line.quantity,
      { id = hold.id, state = i == 1 and hold.state, record = i == 1 and hold.record })
  end
  for _, line in ipairs(lines) do
    write_level(line.level, line.low, line.sku)
    redis.call('ZREM', line.due, hold.id)
  end
  return table.concat(packed, ',')
end

-- The entry of a later verb under this op, or nil: its verb, fingerprint and
-- outcome. Entries read "VERB op fingerprint outcome", one after another with
-- ";" between.
local function find_verb(hold, op)
  local from = string.find(hold.verbs, ' ' .. op .. ' ', 1, true)
  if not from then return nil end
  local verb = match(string.sub(hold.verbs, 1, from - 1), '(%u+)$')
  local fingerprint, outcome = match(hold.verbs, '^(%S+) ([^;]*)', from + #op + 2)
  return verb, fingerprint, outcome
end

-- Closes the partitions, remembers the verb and its outcome in the hold, so
-- that its key is answered again, and writes the hold. Answers the outcome:
-- "at_ms epoch n:seq,... tail".
local function remember_verb(hold, verb, fingerprint, by, opened, tail)
  local outcome = table.concat({ by.at, opened[1].epoch, close_partitions(opened), tail }, ' ')
  local entry = table.concat({ verb, by.op, fingerprint, outcome }, ' ')
  if hold.verbs ~= '' then
    local _, count = string.gsub(hold.verbs, ';', ';')
    if count + 1 >= MAX_VERBS then hold.verbs = match(hold.verbs, ';(.*)$') end
    entry = hold.verbs .. ';' .. entry
  end
  hold.verbs = entry
  write_hold(hold)
  return outcome
end

-- Answers a verb on a hold that it cannot act on: not there, remembered under
-- this op, ended (again the same verb is a success), or past its deadline.
local function answer_without_change(hold, verb, ended_word, op, fingerprint, now)
  if not hold then return { 'hold_not_found' } end
  local known, known_fingerprint, outcome = find_verb(hold, op)
  if known then
    if known_fingerprint ~= fingerprint then return { 'key_reused' } end
    return { 'replay', hold.record, hold.state, outcome }
  end
  if hold.word == ended_word then
    return { 'replay', hold.record, hold.state, match(hold.verbs, '%u+ %S+ %S+ ([^;]*)$') }
  end
  if hold.word ~= 'HELD' then return { 'hold_ended', hold.state } end
  if now >= hold.deadline then
    return { 'hold_ended', format('EXPIRED %d %d', hold.deadline, hold.deadline) }
  end
end
