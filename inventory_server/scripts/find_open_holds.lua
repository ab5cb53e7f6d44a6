#!lua flags=no-writes
--[[ find_open_holds — Says which of these holds are open and name a level.
  KEYS  hold...
  ARGV  1 location  2 sku
  Returns
    ok   number...
  Cost  O(holds). Writes nothing. ]]
local answer, name = { 'ok' }, ' ' .. ARGV[1] .. ' ' .. ARGV[2] .. ' '
for i, key in ipairs(KEYS) do
  local value = redis.pcall('GET', key)
  if type(value) == 'string' and string.find(value, '^HELD ')
      and string.find(value, name, 1, true) then
    answer[#answer + 1] = i
  end
end
return answer
