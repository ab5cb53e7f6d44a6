-- Policies as a caller sets them: "reorder:rearm:safety:backorder", each a
-- number or nothing, which leaves it as it is.

-- The policy that comes of what is there and what is wanted, and its two
-- points. A rearm point that was the reorder point follows it.
local function merge_policy(level, wanted)
  local reorder, rearm, safety, backorder = match(wanted, '^(%d*):(%d*):(%d*):(%d*)$')
  if not reorder then error('not a policy: ' .. wanted) end
  local function either(text, stored) return text ~= '' and whole(text, 0) or stored end
  local follows = level.rearm_point == level.reorder_point
  local reorder_point = either(reorder, level.reorder_point)
  local rearm_point = either(rearm, follows and reorder_point or level.rearm_point)
  local policy = format(' %d %d %d %d', either(safety, level.safety_stock),
    either(backorder, level.backorder_limit), reorder_point, rearm_point)
  return policy, reorder_point, rearm_point
end
