-- Makes the topic if it is not there. ARGV: the life of a new one, the time, whether there is a policy, age in ms, items, bytes.
-- Answers with the life.
local is = redis.call('HGET', KEYS[1], 'life')
if not is then
  local floor, latest = id(now, 0), redis.call('HGET', KEYS[1], 'latest')
  if latest and not below(latest, floor) then
    local ms, seq = place(latest)
    floor = id(ms, seq + 1)
  end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'life', life, 'floor', floor, 'top', floor, 'ended', '0', 'count', '0', 'bytes', '0',
    'age', ARGV[4], 'most', ARGV[5], 'size', ARGV[6])
elseif ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'age', ARGV[4], 'most', ARGV[5], 'size', ARGV[6])
  life = is
  load()
  trim()
end
return is or life
