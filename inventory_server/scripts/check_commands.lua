#!lua flags=no-writes
--[[ check_commands — Says which of the scripts' commands this connection may not use:
  a script that is refused one after its first write would leave that write.
  KEYS  1 any key of the store
  ARGV  command...
  Returns
    unknown                                   this Redis cannot be asked
    ok   command...                           those that are refused
  Cost  O(commands). Writes nothing. ]]
if not redis.acl_check_cmd then return { 'unknown' } end
local answer = { 'ok' }
for _, command in ipairs(ARGV) do
  if not redis.acl_check_cmd(command, KEYS[1], '1', '1') then answer[#answer + 1] = command end
end
return answer
