#!lua name=signalfleet_@VERSION@

-- The writing side of the shard log. The server does not undo what a function did before it
-- failed, so every function looks at everything first and writes last.
-- Keys are always: 1 ticks, 2 shard, then what the function needs. Replies are one string:
-- a word, then what the caller may want to know.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return ms, seq
end

-- Ids are up to twenty digits: more than a Lua number keeps, so they are compared as text.
local function digits_less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local function id_less(a, b)
  local a_ms, a_seq = parts(a)
  local b_ms, b_seq = parts(b)
  if a_ms ~= b_ms then return digits_less(a_ms, b_ms) end
  return digits_less(a_seq, b_seq)
end

local function wrong_type(key, wanted)
  local seen = redis.call('TYPE', key)['ok']
  if seen ~= 'none' and seen ~= wanted then
    return 'TYPE ' .. key .. ' ' .. seen .. ' ' .. wanted
  end
end

local function fenced(key, fence)
  local held = redis.call('HMGET', key, 'fence', 'owner')
  if held[1] ~= fence then
    return 'FENCED ' .. (held[1] or '0') .. ' ' .. (held[2] or '')
  end
end

-- Puts the group at an entry; creates stream and group where someone has removed them.
local function move_group(ticks, group, id, read)
  local moved = redis.pcall('XGROUP', 'SETID', ticks, group, id, 'ENTRIESREAD', read)
  if type(moved) == 'table' and moved['err'] then
    moved = redis.pcall('XGROUP', 'CREATE', ticks, group, id, 'MKSTREAM', 'ENTRIESREAD', read)
  end
  return type(moved) == 'table' and moved['err']
end

local function stream_info(key)
  local flat, info = redis.pcall('XINFO', 'STREAM', key), {}
  if flat['err'] then return nil end
  for at = 1, #flat, 2 do info[flat[at]] = flat[at + 1] end
  return info
end

-- A fence never comes twice, not even where a failover undid the one before: it is the time in us.
local function new_fence(shard)
  local time, last = redis.call('TIME'), tonumber(redis.call('HGET', shard, 'fence') or '0')
  return string.format('%d', math.max(last + 1, time[1] * 1000000 + time[2]))
end

-- args: group owner lease_ms wake
local function acquire(keys, args)
  local ticks, shard = keys[1], keys[2]
  local group, owner, lease = args[1], args[2], tonumber(args[3])
  local wrong = wrong_type(ticks, 'stream') or wrong_type(shard, 'hash')
  if wrong then return wrong end
  local now = now_ms()
  local held = redis.call('HMGET', shard, 'owner', 'until', 'cursor', 'entries', 'seq', 'seq_values')
  local previous, ends = held[1] or '', tonumber(held[2] or '0')
  if previous ~= owner and previous ~= '' and ends > now then
    return 'HELD ' .. (ends - now) .. ' ' .. previous
  end
  local cursor, entries = held[3], held[4]
  if not cursor then
    -- A stream that lost entries before this fleet came: they count as read, or lag never ends.
    local info = stream_info(ticks)
    cursor, entries = '0-0', info and tostring(info['entries-added'] - info['length']) or '0'
  end
  local failed = move_group(ticks, group, cursor, entries)
  if failed then return 'ERROR ' .. failed end
  if previous ~= '' and previous ~= owner then
    redis.pcall('XGROUP', 'DELCONSUMER', ticks, group, previous)
  end
  redis.pcall('XGROUP', 'CREATECONSUMER', ticks, group, owner)
  local fence = new_fence(shard)
  redis.call('HSET', shard, 'fence', fence, 'owner', owner, 'until', now + lease,
    'cursor', cursor, 'entries', entries, 'group', group)
  return table.concat({'OK', fence, now + lease, cursor, entries, held[5] or '0',
    held[6] or '0', previous}, ' ')
end

-- args: fence lease_ms
local function renew(keys, args)
  local stop = wrong_type(keys[2], 'hash') or fenced(keys[2], args[1])
  if stop then return stop end
  local ends = now_ms() + tonumber(args[2])
  redis.call('HSET', keys[2], 'until', ends)
  return 'OK ' .. ends
end

-- args: fence group successor reserve_ms wake shard
-- The owner's name stays as the successor's for the reserved time, so that nobody else gets in.
local function release(keys, args)
  local ticks, shard = keys[1], keys[2]
  local stop = wrong_type(shard, 'hash') or fenced(shard, args[1])
  if stop then return stop end
  local owner = redis.call('HGET', shard, 'owner')
  redis.pcall('XGROUP', 'DELCONSUMER', ticks, args[2], owner)
  redis.call('HINCRBY', shard, 'fence', 1)
  redis.call('HSET', shard, 'owner', args[3], 'until', now_ms() + tonumber(args[4]))
  redis.pcall('PUBLISH', args[5], cjson.encode({shard = args[6], next = args[3]}))
  return 'OK'
end

local OUTPUTS = 3  -- keys 3, 4, 5: signals, values, deadletter

-- keeps: for each output none, or the id and the number of entries that bound it.
local function publish(keys, counts, outputs, keeps)
  for name, amount in pairs(counts) do
    redis.call('HINCRBY', keys[2], 'count:' .. name, string.format('%d', amount))
  end
  for output = 1, OUTPUTS do
    local key = keys[2 + output]
    for _, fields in ipairs(outputs[output]) do redis.call('XADD', key, '*', unpack(fields)) end
    if keeps[output] then
      redis.call('XTRIM', key, 'MINID', '~', keeps[output][1])
      redis.call('XTRIM', key, 'MAXLEN', '~', keeps[output][2])
    end
  end
end

-- args: fence group prev new entries seq seq_values keeps counts outputs
-- keeps is a JSON list, counts a JSON object, outputs a JSON list of signals, values and dead letters, each a list of
-- flat lists of texts: in one piece they cost half of what they do as arguments of their own.
local function commit(keys, args)
  local ticks, shard = keys[1], keys[2]
  local stop = wrong_type(ticks, 'stream') or wrong_type(shard, 'hash')
  for output = 3, 2 + OUTPUTS do stop = stop or wrong_type(keys[output], 'stream') end
  if stop then return stop end
  local held = redis.call('HMGET', shard, 'fence', 'owner', 'cursor', 'entries', 'seq', 'seq_values')
  if held[1] ~= args[1] then return 'FENCED ' .. (held[1] or '0') .. ' ' .. (held[2] or '') end
  local cursor, new = held[3] or '0-0', args[4]
  if cursor == new then return 'DUP' end
  if cursor ~= args[3] then return 'STALE ' .. cursor end
  if (held[5] or '0') ~= args[6] or (held[6] or '0') ~= args[7] then
    return 'SEQ ' .. (held[5] or '0') .. ' ' .. (held[6] or '0')
  end
  if not id_less(cursor, new) then return 'ERROR the cursor cannot move back to ' .. new end
  local entries = string.format('%d', tonumber(held[4] or '0') + tonumber(args[5]))
  local keeps, counts = cjson.decode(args[8]), cjson.decode(args[9])
  local outputs = cjson.decode(args[10])
  local failed = move_group(ticks, args[2], new, entries)  -- the one write that may be refused
  if failed then return 'ERROR ' .. failed end

  publish(keys, counts, outputs, keeps)
  redis.call('HSET', shard, 'cursor', new, 'entries', entries,
    'seq', string.format('%d', args[6] + #outputs[1]),
    'seq_values', string.format('%d', args[7] + #outputs[2]))
  return 'OK'
end

-- args: fence, then the entry's fields. For clock and deployment entries.
local function append(keys, args)
  local stop = wrong_type(keys[1], 'stream') or wrong_type(keys[2], 'hash')
    or fenced(keys[2], args[1])
  if stop then return stop end
  return 'OK ' .. redis.call('XADD', keys[1], '*', unpack(args, 2))
end

-- keys: ticks shard snapshot; args: fence field chunk
local function stow(keys, args)
  local stop = wrong_type(keys[2], 'hash') or wrong_type(keys[3], 'hash')
    or fenced(keys[2], args[1])
  if stop then return stop end
  redis.call('HSET', keys[3], args[2], args[3])
  return 'OK'
end

-- keys: ticks shard snapshot
-- args: fence entry entries digest version bytes chunks prefix check
-- A snapshot ahead of the cursor is of entries whose commit a failover undid.
local function seal(keys, args)
  local shard, snapshot = keys[2], keys[3]
  local stop = wrong_type(shard, 'hash') or wrong_type(snapshot, 'hash') or fenced(shard, args[1])
  if stop then return stop end
  local cursor = redis.call('HGET', shard, 'cursor') or '0-0'
  if id_less(cursor, args[2]) then return 'STALE ' .. cursor end
  local newest = redis.call('HGET', snapshot, 'entry')
  local old = newest and id_less(args[2], newest)
  local kept = old and redis.call('HGET', snapshot, 'prefix') or args[8]
  for chunk = 1, old and 0 or tonumber(args[7]) do
    if redis.call('HEXISTS', snapshot, args[8] .. (chunk - 1)) == 0 then
      return 'ERROR chunk ' .. (chunk - 1) .. ' of the snapshot is missing'
    end
  end
  for _, field in ipairs(redis.call('HKEYS', snapshot)) do
    if string.sub(field, 1, 6) == 'chunk:' and string.sub(field, 1, #kept) ~= kept then
      redis.call('HDEL', snapshot, field)
    end
  end
  if old then return 'OLD ' .. newest end
  redis.call('HSET', snapshot, 'entry', args[2], 'entries', args[3], 'digest', args[4],
    'version', args[5], 'bytes', args[6], 'chunks', args[7], 'prefix', args[8], 'check', args[9])
  return 'OK'
end

-- The oldest entry that a group has not done with: what it was given last, or still holds.
local function group_bound(ticks, group, last)
  local pending = redis.call('XPENDING', ticks, group)
  if pending[1] > 0 and id_less(pending[2], last) then return pending[2] end
  return last
end

local TRIM_MAX = 1000000  -- entries; whole nodes go, at some 4 ns an entry

-- What a fleet needs to start again: nothing may go before its first snapshot. Other groups need
-- no snapshot.
local function snapshot_bound(snapshot, shard)
  if redis.call('TYPE', shard)['ok'] ~= 'hash' then return nil end
  return redis.call('HGET', snapshot, 'entry') or '0-0'
end

-- Ticks go, and with them the decisions that hold behind them, as far as a snapshot knows those.
-- keys: ticks shard scripts shed, then snapshot and shard of the fleet that each group of args would be
-- args: fence own_group retention_ms decided_scripts decided_shed group...
local function trim(keys, args)
  local ticks, shard = keys[1], keys[2]
  local stop = wrong_type(ticks, 'stream') or wrong_type(shard, 'hash') or fenced(shard, args[1])
    or wrong_type(keys[3], 'stream') or wrong_type(keys[4], 'stream')
  if stop then return stop end
  local info = stream_info(ticks)
  if not info then return 'OK 0' end
  local cursor = redis.call('HGET', shard, 'cursor')
  local bound = string.format('%d-0', math.max(0, now_ms() - tonumber(args[3])))
  local function at_most(id) if id_less(id, bound) then bound = id end end
  local place = {}
  for at = 6, #args do place[args[at]] = 2 * at - 7 end
  at_most(cursor)
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', ticks)) do
    local group = {}
    for at = 1, #flat, 2 do group[flat[at]] = flat[at + 1] end
    at_most(group_bound(ticks, group['name'], group['last-delivered-id']))
    local at = place[group['name']]
    if not at then return 'GROUPS' end
    at_most(snapshot_bound(keys[at], keys[at + 1]) or bound)
  end
  for at = 3, 4 do
    local known = args[at + 1]
    redis.call('XTRIM', keys[at], 'MINID', id_less(known, bound) and known or bound)
  end
  -- At the end of the stream the count is known for sure, whatever others deleted or trimmed.
  if cursor == info['last-generated-id'] then
    local entries = string.format('%d', info['entries-added'])
    if not move_group(ticks, args[2], cursor, entries) then
      redis.call('HSET', shard, 'entries', entries)
    end
  end
  return 'OK ' .. redis.call('XTRIM', ticks, 'MINID', '~', bound, 'LIMIT', TRIM_MAX)
end

local WRITES_WHEN_FULL = {'allow-oom'}

local function register(name, callback, flags)
  redis.register_function{function_name = 'fleet_@VERSION@_' .. name, callback = callback,
    flags = flags or {}}
end

register('acquire', acquire, WRITES_WHEN_FULL)
register('renew', renew, WRITES_WHEN_FULL)
register('release', release, WRITES_WHEN_FULL)
register('commit', commit, WRITES_WHEN_FULL)
register('trim', trim, WRITES_WHEN_FULL)
register('append', append)
register('stow', stow)
register('seal', seal, WRITES_WHEN_FULL)
