-- KEYS: entry, era. ARGV: what tags begin with, a fresh token, the era and the tomb
-- that were there when the making began, how long the entry lives, how long of that
-- it is stale, how long a tag lives at least (all in ms), checksum, value, tags.
-- Answers 1 if it was kept, 0 if it was invalidated meanwhile.
local function text(value)
    return type(value) == 'string' and value or false
end
if text(redis.pcall('GET', KEYS[2])) ~= ARGV[3] then
    return 0
end
if (text(redis.pcall('HGET', KEYS[1], 'd')) or '') ~= ARGV[4] then
    return 0
end
local life = tonumber(ARGV[7])
local tags = {}
for i = 10, #ARGV do
    local key = ARGV[1] .. ARGV[i]
    local token = text(redis.pcall('GET', key))
    if not token then
        token = ARGV[2]
        redis.call('SET', key, token, 'PX', life)
    elseif redis.call('PTTL', key) < life then
        redis.call('PEXPIRE', key, life)
    end
    tags[#tags + 1] = ARGV[i] .. '=' .. token
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'f', '1', 't', table.concat(tags, ';'), 's', ARGV[6], 'c', ARGV[8], 'v', ARGV[9])
if ARGV[4] ~= '' then
    redis.call('HSET', KEYS[1], 'd', ARGV[4])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
