-- Reads items. ARGV: life, time, the offset behind which ('' for the oldest), how many. Answers with what the topic covers, the
-- offset before the first item, and the items.
if not load() then return {'deleted'} end
trim()
local after, n = ARGV[3], tonumber(ARGV[4])
if after == '' then after = topic.floor end
if below(after, topic.floor) or below(topic.top, after) then return bounds('uncovered') end
local found = redis.call('XRANGE', KEYS[2], '(' .. after, topic.top, 'COUNT', n)
local prev = after
if #found > 0 then
  local before = redis.call('XREVRANGE', KEYS[2], '(' .. found[1][1], '-', 'COUNT', 1)[1]
  prev = before and before[1] or topic.floor
  local last = found[#found]
  local left = batch(last)
  if left > 0 then -- a batch is not cut
    local ms, seq = place(last[1])
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], id(ms, seq + 1), id(ms, seq + left))) do found[#found + 1] = entry end
  end
end
local items = {}
for i, entry in ipairs(found) do items[i] = {entry[1], entry[2][4]} end
return {'items', prev, items}
