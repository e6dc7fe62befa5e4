-- What all scripts share. KEYS are those of one topic: 1 what is to be known of it, 2 its items, 3 the batches that had a key and
-- 4 when, 5 the producers and 6 when, and 7 the shard channel
-- on which it is told that it has changed. ARGV[1] is the topic's life, ARGV[2] the time in ms, or '' for the server's.

local life, now = ARGV[1], tonumber(ARGV[2])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end

local function text(n) return string.format('%.0f', n) end

-- place reads an offset; id writes one.
local function place(s)
  local ms, seq = string.match(s, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local function id(ms, seq) return text(ms) .. '-' .. text(seq) end

-- below compares offsets.
local function below(a, b)
  local ams, aseq = place(a)
  local bms, bseq = place(b)
  return ams < bms or ams == bms and aseq < bseq
end

local topic
local function load()
  local m = redis.call('HMGET', KEYS[1], 'life', 'floor', 'top', 'ended', 'count', 'bytes', 'age', 'most', 'size')
  if m[1] ~= life then return false end
  topic = {floor = m[2], top = m[3], ended = m[4], count = tonumber(m[5]), bytes = tonumber(m[6]),
    age = tonumber(m[7]), most = tonumber(m[8]), size = tonumber(m[9])}
  return true
end

local function bounds(what)
  return {what, topic.floor, topic.top, topic.count, topic.bytes, topic.ended}
end

-- batch reads what the entry of an item says of its batch: how many items follow in it, how many it has, how many bytes, and which
-- offset was before it.
local function batch(entry)
  local left, n, bytes, prev = string.match(entry[2][2], '^(%d+) (%d+) (%d+) (%S+)$')
  return tonumber(left), tonumber(n), tonumber(bytes), prev
end

-- front returns the oldest batch from an id on: how many items and bytes it has, its milliseconds and first number. Entries that are in no
-- topic, see read.lua, are removed on the way: what comes behind them names one before them.
local function front(from)
  while true do
    local first = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 1)[1]
    if not first then return nil end
    local _, n, bytes = batch(first)
    local ms, seq = place(first[1])
    local last, mine = id(ms, seq + n - 1), {}
    for i, entry in ipairs(redis.call('XRANGE', KEYS[2], first[1], last)) do
      if batch(entry) ~= n - i then break end
      mine[i] = entry[1]
    end
    local behind, named = redis.call('XRANGE', KEYS[2], '(' .. mine[#mine], '+', 'COUNT', 1)[1], topic.top
    if behind then
      local _, _, _, prev = batch(behind)
      named = prev
    end
    if not below(named, last) then return n, bytes, ms, seq end
    for _, entry in ipairs(mine) do redis.call('XDEL', KEYS[2], entry) end
  end
end

-- trim forgets what the policy does not keep, and batches up to an offset.
local function trim(upto)
  local keep
  while topic.count > 0 do
    local n, bytes, ms, seq = front(keep or '-')
    if not n then break end
    local last = id(ms, seq + n - 1)
    if not (topic.most > 0 and topic.count > topic.most or topic.size > 0 and topic.bytes > topic.size
      or topic.age > 0 and ms < now - topic.age or upto and not below(upto, last)) then break end
    topic.count, topic.bytes, topic.floor, keep = topic.count - n, topic.bytes - bytes, last, id(ms, seq + n)
  end
  if not keep then return end
  redis.call('XTRIM', KEYS[2], 'MINID', keep)
  redis.call('HSET', KEYS[1], 'floor', topic.floor, 'count', text(topic.count), 'bytes', text(topic.bytes))
end
