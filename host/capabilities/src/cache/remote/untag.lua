-- KEYS: a tag's token, era. ARGV: a fresh token.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1])
return 1
