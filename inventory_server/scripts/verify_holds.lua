#!lua flags=no-writes
--[[ verify_holds — Compares holds of one partition with their indexes.
  KEYS  1 due (home)  2 refs (home)  3.. hold
  ARGV  hold_id...
  Returns
    ok   (number kind message)...             kind ENDED: nothing wrong, but so it is
  Cost  O(lines). Writes nothing. ]]
-- include: arguments.lua
-- include: level.lua
-- include: journal.lua
-- include: hold.lua
-- include: hold_lines.lua
local answer = { 'ok' }
local function note(number, kind, message)
  for _, fact in ipairs({ number, kind, message }) do answer[#answer + 1] = fact end
end

local function check_lines(i, hold)
  for _, line in ipairs(parse_lines(hold)) do
    local prefix, name = partition_key(line.number, ''), line.location .. ':' .. line.sku
    local score = tonumber(redis.call('ZSCORE', prefix .. 'due:' .. name, hold.id) or nil)
    local wanted = line.held > 0 and hold.deadline or nil
    if line.held < 0 then note(i, 'DAMAGED', 'more of ' .. name .. ' has gone than was held') end
    if score ~= wanted then
      note(i, 'INDEX', 'due of ' .. name .. (wanted and ' lacks the hold or has another deadline'
        or ' names a hold that has nothing of it'))
    end
    if wanted and redis.call('EXISTS', prefix .. 'level:' .. name) == 0 then
      note(i, 'DAMAGED', 'the hold has units of ' .. name .. ', which is not there')
    end
  end
end

for i, id in ipairs(ARGV) do
  local is_read, hold = pcall(read_hold, KEYS[i + 2], id)
  local score = tonumber(redis.call('ZSCORE', KEYS[1], id) or nil)
  if not is_read then
    note(i, 'DAMAGED', 'the hold cannot be read')
  elseif not hold then
    if score then note(i, 'INDEX', 'due names a hold that is not there') end
  else
    if score ~= (hold.word == 'HELD' and hold.deadline or nil) then
      note(i, 'INDEX', hold.word == 'HELD' and 'due lacks the hold or has another deadline'
        or 'due names a hold that is ' .. hold.word)
    end
    if hold.word ~= 'HELD' then note(i, 'ENDED', '') end
    local reference = reference_of(hold)
    if reference ~= '' and not redis.call('ZSCORE', KEYS[2], reference .. '\0' .. id) then
      note(i, 'INDEX', 'refs lacks the hold')
    end
    check_lines(i, hold)
  end
end
return answer
