-- A hold's memory of its later verbs: entries "VERB op fingerprint outcome",
-- ";" between. An outcome is "at_ms epoch n:seq,... levels", and "|state"
-- behind it where the verb did not end the hold.

-- So many later verbs are remembered a hold. The oldest EXTEND is forgotten
-- first; done again it does no harm. Parts that were sold or given back are
-- never forgotten: no more of them are taken than can be remembered.
-- Of an op and a fingerprint so many characters are kept: they are compared
-- within one hold only.
local MAX_VERBS, OP_KEPT, FINGERPRINT_KEPT = 32, 10, 8

-- The entry of the verb that was asked for under this op, or nil.
local function find_verb(hold, op)
  op = string.sub(op, 1, OP_KEPT)
  local from = find(hold.verbs, ' ' .. op .. ' ', 1, true)
  if not from then return nil end
  local verb = match(string.sub(hold.verbs, math.max(1, from - 16), from - 1), '^.-([%u_]+)$')
  local fingerprint, outcome, state = match(hold.verbs, '^(%S+) ([^;|]*)|?([^;]*)', from + #op + 2)
  return { verb = verb, fingerprint = fingerprint, outcome = outcome, state = state }
end

local function last_verb(hold)
  -- Anchored: from the end of a long text a pattern is looked for at every place.
  local entry = match(hold.verbs, '^.*;(.*)$') or hold.verbs
  local verb, fingerprint, outcome, state = match(entry, '^(%S+) %S+ (%S+) ([^|]*)|?(.*)$')
  return verb and { verb = verb, fingerprint = fingerprint, outcome = outcome, state = state }
end

local function replay(hold, entry)
  local state = entry.state ~= '' and entry.state or hold.state
  return { 'replay', hold.record, state, entry.outcome, entry.verb }
end

-- Answers a verb that the hold cannot or need not follow: not there,
-- remembered under this op, ended in the same way (`again` has the verbs that
-- are as good as this one on all that was held), or past its deadline.
local function answer_without_change(hold, again, op, fingerprint, now)
  if not hold then return { 'hold_not_found' } end
  fingerprint = string.sub(fingerprint, 1, FINGERPRINT_KEPT)
  local known = find_verb(hold, op)
  if known then
    return known.fingerprint == fingerprint and replay(hold, known) or { 'key_reused' }
  end
  if hold.word ~= 'HELD' then
    local last = last_verb(hold)
    local is_ending = last and last.state == ''
    if is_ending and (again[last.verb] == true or again[last.verb] == hold.word
        or (again[last.verb] and last.fingerprint == fingerprint)) then
      return replay(hold, last)
    end
    return { 'hold_ended', hold.state }
  end
  if now >= hold.deadline then
    for _, line in ipairs(parse_lines(hold)) do
      if line.confirmed > 0 then
        return { 'hold_ended', format('CONFIRMED %d %d', hold.deadline, hold.deadline) }
      end
    end
    return { 'hold_ended', format('EXPIRED %d %d', hold.deadline, hold.deadline) }
  end
end

-- Whether another part of the hold may be sold or given back.
local function has_room_for_a_part(hold)
  local _, parts = string.gsub(hold.verbs, '_SOME ', '')
  return parts < MAX_VERBS
end

-- Closes the partitions, remembers the verb and its outcome in the hold, so
-- that its key is answered again, and writes the hold. Answers the outcome.
local function remember_verb(hold, verb, fingerprint, by, opened, levels)
  local outcome = table.concat({ by.at, opened[1].epoch, close_partitions(opened), levels }, ' ')
  local entry = table.concat({ verb, string.sub(by.op, 1, OP_KEPT),
    string.sub(fingerprint, 1, FINGERPRINT_KEPT), outcome }, ' ')
  if match(hold.state, '^HELD') then entry = entry .. '|' .. hold.state end
  if hold.verbs ~= '' then
    local _, count = string.gsub(hold.verbs, ';', ';')
    if count + 1 >= MAX_VERBS then
      local without = string.gsub(';' .. hold.verbs, ';EXTEND [^;]*', '', 1)
      hold.verbs = string.sub(without, 2)
    end
    entry = hold.verbs .. ';' .. entry
  end
  hold.verbs = entry
  write_hold(hold)
  return outcome
end
