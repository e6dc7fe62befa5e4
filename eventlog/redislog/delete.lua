-- Deletes the topic. ARGV: '', the time, for how many ms it is known how far the topic had come.
local top = redis.call('HGET', KEYS[1], 'top')
if not top then return 0 end
for i = 1, 6 do redis.call('DEL', KEYS[i]) end
redis.call('HSET', KEYS[1], 'latest', top)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SPUBLISH', KEYS[7], '')
return 1
