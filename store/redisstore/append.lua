-- KEYS tail; ARGV tail's ttl in ms, entry's key without the ticket, entry, entry's ttl in ms, channel or ''
-- The entry has the tail's hash tag, so its name may be made here. A Lua number holds and prints a ticket of up to 14
-- digits as it is; GET's answer holds any.
local n = redis.call('INCR', KEYS[1])
if n >= 1e14 then n = redis.call('GET', KEYS[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('SET', ARGV[2] .. n, ARGV[3], 'PX', ARGV[4])
if ARGV[5] ~= '' then redis.pcall('PUBLISH', ARGV[5], n .. ' ' .. ARGV[3]) end -- a refused hint is a lost hint
return n
