-- Products that are inactive: in each partition a set of their SKUs. They are
-- neither held nor sold, and raise no alert (quiet.lua).

-- The numbers of the lines whose SKU is inactive; nil where none is. One
-- question a partition: a line's `inactive` is the key of its partition's set.
local function inactive_lines(lines)
  local first = lines[1]
  if not lines[2] then
    -- Most requests have one line, and this is half the price.
    return redis.call('SISMEMBER', first.inactive, first.sku) == 1 and { 1 } or nil
  end
  local asked, numbers, found = {}, {}, nil
  for _, line in ipairs(lines) do
    local skus = asked[line.inactive]
    if skus then skus[#skus + 1] = line.sku else asked[line.inactive] = { line.sku } end
  end
  for key, skus in pairs(asked) do
    for n, is_inactive in ipairs(redis.call('SMISMEMBER', key, unpack(skus))) do
      if is_inactive == 1 then
        found = found or {}
        found[key .. skus[n]] = true
      end
    end
  end
  for i, line in ipairs(found and lines or {}) do
    if found[line.inactive .. line.sku] then numbers[#numbers + 1] = i end
  end
  return found and numbers
end
