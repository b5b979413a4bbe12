-- One more request of a job that runs: takes the next start that the rates of its group and of its host allow.
-- KEYS[1]  room
-- ARGV     id, token
-- Returns  after how many ms it may begin.
local room, id = KEYS[1], ARGV[1]
local holder, _, group, host = claim_of(room, id)
if holder ~= ARGV[2] then return 0 end
local from = pace_allows_from(room, group)
keep_pace(room, group)
stand(room, group)
if host ~= "" then
  from = math.max(from, take_host_turn(room, host))
  stand_host(room, host)
end
return math.max(0, from - now)
