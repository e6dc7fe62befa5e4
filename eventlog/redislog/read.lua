-- Reads items. ARGV: life, time, the offset behind which ('' for the oldest), how many. Answers with what the topic covers, or with
-- the offset before the first item, and the items.
if not load() then return {'deleted'} end
trim()
local after, n = ARGV[3], tonumber(ARGV[4])
if after == '' then after = topic.floor end
if below(after, topic.floor) or below(topic.top, after) then return bounds('uncovered') end

-- Each batch says what was before it. An entry that the next one does not name is in no topic: a server that was killed while it wrote
-- its append-only file may bring the first half of a script back when it starts for the second time.
local found, from = {}, after
local function take(entry)
  local left, size, _, prev = batch(entry)
  if left == size - 1 then
    while #found > 0 and below(prev, found[#found][1]) do found[#found] = nil end
  end
  found[#found + 1] = entry
end
while true do
  local more = redis.call('XRANGE', KEYS[2], '(' .. from, topic.top, 'COUNT', n)
  if #more == 0 then break end
  for _, entry in ipairs(more) do take(entry) end
  local last = more[#more]
  local left = batch(last)
  from = last[1]
  if left > 0 then -- a batch is not cut
    local ms, seq = place(from)
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. from, id(ms, seq + left))) do
      take(entry)
      from = entry[1]
    end
  end
  local next = redis.call('XRANGE', KEYS[2], '(' .. from, topic.top, 'COUNT', 1)[1]
  if next then
    take(next)
    found[#found] = nil
  end
  if #found > 0 then break end
end

local prev = after
if #found > 0 then
  local left, size, _, before = batch(found[1])
  local ms, seq = place(found[1][1])
  prev = left == size - 1 and before or id(ms, seq - 1)
end
local items = {}
for i, entry in ipairs(found) do items[i] = {entry[1], entry[2][4]} end
return {'items', prev, items}
