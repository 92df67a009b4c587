-- KEYS: entry. ARGV: a fresh token, how long it keeps out what is being made, in ms.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'd', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
