-- The one clock: Redis's own, in milliseconds, read once a script. A caller
-- that gives a time (tests do) is believed.
local function read_now(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
