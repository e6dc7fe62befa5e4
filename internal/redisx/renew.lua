-- Replaces the value of a key, or removes it, if a part of it is what the caller says.
-- ARGV: first and last byte of the part, what it is to be, the new value ("" removes), for how many ms.
-- Returns 0 if there was nothing, 1 if it was done, 2 if there was something else.
local part = redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[2])
if part == '' then return 0 end
if part ~= ARGV[3] then return 2 end
if ARGV[4] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
end
return 1
