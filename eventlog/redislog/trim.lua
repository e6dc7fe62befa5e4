-- Forgets batches up to an offset. ARGV: life, time, the offset.
if not load() then return {'deleted'} end
trim(ARGV[3])
return {'trimmed'}
