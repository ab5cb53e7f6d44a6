-- What a script is given, checked before anything is done with it: a command
-- that failed on it in the middle would leave what was written before.
local format, match, find = string.format, string.match, string.find

-- A whole number of at most 15 digits, which Lua holds exactly.
local function whole(text, least)
  local number = #text <= 16 and match(text, '^%-?%d+$') and tonumber(text)
  if not number or number < least then error('not a number from ' .. least .. ': ' .. text) end
  return number
end

-- A flag is "1" or "".
local function is_set(flag)
  if flag ~= '' and flag ~= '1' then error('not a flag: ' .. flag) end
  return flag == '1'
end

-- Fails on an op or a fingerprint that would not stay whole in a record, and on
-- a control character in the texts that go into it: records are made of lines.
local function check_origin(op, fingerprint, texts)
  if find(texts, '%c') then error('a control character in the arguments') end
  if not find(op, '^[%w-]+$') or not find(fingerprint, '^[%w+/=-]+$') then
    error('not an op and a fingerprint: ' .. op .. ' ' .. fingerprint)
  end
end

-- The one clock: Redis's own, in milliseconds, read once a script. A caller
-- that gives a time (tests do) is believed.
local function read_now(given)
  if given ~= '' then return whole(given, 0) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
