-- KEYS: entry, era. ARGV: what tags begin with, a fresh token, the largest value.
-- Answers: 1 fresh, 2 stale, 0 nothing; era; tomb; value; checksum. An entry that was
-- made after a removal keeps that tomb: who began before it does not match.
local function text(value)
    return type(value) == 'string' and value or false
end
local era = text(redis.pcall('GET', KEYS[2]))
if not era then
    era = ARGV[2]
    redis.call('SET', KEYS[2], era)
end
local entry = redis.pcall('HMGET', KEYS[1], 'f', 't', 's', 'c', 'd')
if entry.err then
    return {0, era, '', '', ''}
end
local tomb = entry[5] or ''
local nothing = {0, era, tomb, '', ''}
local stale = tonumber(entry[3] or '')
if entry[1] ~= '1' or not entry[2] or not entry[4] or not stale then
    return nothing
end
if redis.call('HSTRLEN', KEYS[1], 'v') > tonumber(ARGV[3]) then
    return nothing
end
for tag, token in string.gmatch(entry[2], '(%x+)=(%x+)') do
    if text(redis.pcall('GET', ARGV[1] .. tag)) ~= token then
        return nothing
    end
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
    return nothing
end
local value = redis.call('HGET', KEYS[1], 'v') or ''
return {left > stale and 1 or 2, era, tomb, value, entry[4]}
