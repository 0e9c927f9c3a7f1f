-- KEYS index, its count; ARGV ttl in ms, members
local n = redis.call('INCR', KEYS[2])
local score, last, add, k = string.format('%d', n), #ARGV, {}, 0
for i = 2, last do
  add[k + 1], add[k + 2] = score, ARGV[i]
  k = k + 2
  if k == 1000 or i == last then
    redis.call('ZADD', KEYS[1], unpack(add, 1, k))
    k = 0
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return n
