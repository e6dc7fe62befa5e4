-- Appends a batch. ARGV: life, time, key, producer, epoch, number, the number before it ('' for none), whether it ends the topic,
-- bytes together, for how many ms a key is known, how many keys and producers are, and the items.
if not load() then return {'deleted'} end
local key, producer, epoch, number = ARGV[3], ARGV[4], ARGV[5], ARGV[6]

if key ~= '' then
  local at = redis.call('ZSCORE', KEYS[4], key)
  if at and now <= tonumber(at) + tonumber(ARGV[10]) then
    local first, last = string.match(redis.call('HGET', KEYS[3], key) or '', '^(%S+) (%S+)$')
    if first then return {'duplicate', first, last, '0'} end
  end
end

-- Numbers of producers have up to 64 bits, more than Lua has: they are compared as texts without leading zeros.
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
if producer ~= '' then
  local known = redis.call('HGET', KEYS[5], producer)
  local e, n, first, last
  if known then e, n, first, last = string.match(known, '^(%S+) (%S+) (%S+) (%S+)$') end
  if known and less(epoch, e) then return {'fenced', e} end
  if known and epoch == e and not less(n, number) then
    if n == number then return {'duplicate', first, last, n} end
    return {'duplicate', '0-0', '0-0', n}
  end
  if known and epoch == e then
    if n ~= ARGV[7] then return {'sequence', n, '0'} end
  elseif number ~= '0' then
    return {'sequence', '', known and '1' or '0'}
  end
end

if topic.ended == '1' then return {'ended'} end
local from = 13
local n, bytes = #ARGV - from + 1, tonumber(ARGV[9])
if topic.most > 0 and n > topic.most or topic.size > 0 and bytes > topic.size then return {'large'} end

local first, last = '0-0', '0-0'
if n > 0 then
  local behind, newest = topic.top, redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  if newest and below(behind, newest[1]) then
    -- An append before was stopped in the middle, by a rule of the ACL: what it has left is in no topic.
    for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. behind, '+')) do redis.call('XDEL', KEYS[2], entry[1]) end
    behind = newest[1]
  end
  local ms, seq = place(behind)
  if now > ms then ms, seq = now, 0 else seq = seq + 1 end
  first, last = id(ms, seq), id(ms, seq + n - 1)
  for i = 1, n do
    redis.call('XADD', KEYS[2], id(ms, seq + i - 1), 'b', text(n - i) .. ' ' .. text(n) .. ' ' .. text(bytes) .. ' ' .. topic.top,
      'd', ARGV[from + i - 1])
  end
  topic.top, topic.count, topic.bytes = last, topic.count + n, topic.bytes + bytes
end

-- note keeps what is known by a name: the latest, and none that are too old.
local function note(values, times, name, value, age, most)
  redis.call('HSET', values, name, value)
  redis.call('ZADD', times, now, name)
  local old = age and redis.call('ZRANGEBYSCORE', times, '-inf', '(' .. text(now - age), 'LIMIT', 0, 100) or {}
  local more = redis.call('ZCARD', times) - #old - most
  if more > 0 then
    for _, v in ipairs(redis.call('ZRANGE', times, #old, #old + more - 1)) do old[#old + 1] = v end
  end
  for _, v in ipairs(old) do
    redis.call('HDEL', values, v)
    redis.call('ZREM', times, v)
  end
end
if ARGV[8] == '1' then topic.ended = '1' end
redis.call('HSET', KEYS[1], 'top', topic.top, 'ended', topic.ended, 'count', text(topic.count), 'bytes', text(topic.bytes))
if key ~= '' then note(KEYS[3], KEYS[4], key, first .. ' ' .. last, tonumber(ARGV[10]), tonumber(ARGV[11])) end
if producer ~= '' then
  note(KEYS[5], KEYS[6], producer, epoch .. ' ' .. number .. ' ' .. first .. ' ' .. last, nil, tonumber(ARGV[12]))
end
trim()
redis.call('SPUBLISH', KEYS[7], n > 0 and topic.top or '')
return {'appended', first, last, producer ~= '' and number or '0'}
