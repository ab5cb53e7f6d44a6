-- What the verbs on a hold share: the partitions that its lines are in, and
-- where its units go.

-- Opens the partitions of these lines, each once, the first line's first; of
-- lines with a plan, those whose units are going to move.
-- `guards` reads "store_id n=epoch:seen_seq n=epoch:seen_seq ...".
local function open_partitions(lines, guards, opened)
  for _, line in ipairs(lines) do
    local stays = line.confirm and line.confirm + line.release + line.expire == 0
    if not opened[line.number] and not stays then
      local epoch, seen_seq = match(guards, ' ' .. line.number .. '=(%d+):(%d+)')
      if not epoch then error('no partition ' .. line.number) end
      local partition, refusal = open_partition(line.number, partition_key(line.number, 'meta'),
        partition_key(line.number, 'journal'), match(guards, '^%w+'), epoch, seen_seq)
      if refusal then return refusal end
      check_alerts(partition)
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
    at = format('%d', now), count = 0,
  }
end

-- Journals that units of a line go, and changes its level in memory. The
-- hold's new state stands in the journal of its home: in the entry of its
-- first line there that changes, or in one of its own (tell_hold).
local function move_units(hold, line, opened, kind, by, on_hand_delta, held_delta)
  by.count = by.count + 1
  change_level(line.level, on_hand_delta, held_delta)
  local tells = line.number == hold.home and not hold.is_told
  hold.is_told = hold.is_told or tells
  append_movement(opened[line.number], kind, by, by.count, line, on_hand_delta, held_delta,
    tells and hold or { id = hold.id })
end

local function tell_hold(hold, opened, kind, by)
  if hold.is_told then return end
  by.count = by.count + 1
  append_movement(opened[hold.home], kind, by, by.count, nil, 0, 0, hold)
end

-- Moves what is to be confirmed and released. Answers the levels as they became, "-" for
-- those that did not change.
local function end_units(hold, lines, opened, by)
  local packed, last_kind = {}, 'RELEASE'
  for i, line in ipairs(lines) do
    if line.confirm > 0 then
      move_units(hold, line, opened, 'CONFIRM', by, -line.confirm, -line.confirm)
      last_kind = 'CONFIRM'
    end
    if line.release > 0 then move_units(hold, line, opened, 'RELEASE', by, 0, -line.release) end
    packed[i] = line.confirm + line.release > 0 and line.level.packed or '-'
  end
  tell_hold(hold, opened, last_kind, by)
  for _, line in ipairs(lines) do
    if line.confirm + line.release > 0 then
      write_level(line.level, line.low, line.sku)
      if line.held == 0 then redis.call('ZREM', line.due, hold.id) end
    end
  end
  return table.concat(packed, ',')
end

-- Plans, in memory, where units of a line go.
local function plan_units(line, confirm, release, expire)
  line.confirm, line.release, line.expire = confirm, release, expire
  line.confirmed, line.released = line.confirmed + confirm, line.released + release
  line.expired, line.held = line.expired + expire, line.held - confirm - release - expire
end

-- Takes a hold that has ended out of its home's open ones, and puts it where
-- it waits for the end of its retention time.
local function end_hold(hold, due, ended)
  if match(hold.state, '^HELD') then return end
  redis.call('ZREM', due, hold.id)
  redis.call('RPUSH', ended, hold.id)
end
