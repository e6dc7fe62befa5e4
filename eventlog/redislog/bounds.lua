-- Answers with what the topic covers. ARGV: life, time.
if not load() then return {'deleted'} end
trim()
return bounds('bounds')
