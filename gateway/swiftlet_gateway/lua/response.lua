-- Status codes that the transcoder can't give, and words for what it refuses.

local STATUS = { ["201"] = true, ["204"] = true, ["503"] = true }

local function without_body(handle, headers)
  headers:remove("content-type")
  local body = handle:body()  -- yields; `headers` may not be used afterwards
  if body ~= nil then body:setBytes("") end
  handle:headers():remove("content-length")  -- a 204 has none, not even 0
end

-- What a refusal says, as it stands in our JSON: quotes are escaped, so what is taken out of it can go back
-- as it is. The last one is a sentence of request.lua, the others are of the transcoder.
local function at_fault(text)
  local name, request = text:match('Could not find field \\"(.-)\\" in the type \\"(.-)\\"')
  if name then
    return name, "unknown query parameter; " .. (PARAMETERS[request] or "this call takes none")
  end
  local field, value, kind = text:match('^([%w_.]+): invalid value \\"(.-)\\" for type ([%w_./]+)$')
  if field then
    local expected = VALUES[kind:gsub("^type.googleapis.com/", "")] or "has the wrong type"
    return field, expected .. ', got \\"' .. value .. '\\"'
  end
  local twice = text:match("oneof field '_([%w_]+)' is already set")
  if twice then return twice, "is given more than once; leave one" end
  return text:match("^([%w-]+): (.+)$")
end

local TEMPLATE = '{"code":CODE,"message":"FIELD: TEXT","details":['
  .. '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"INVALID_ARGUMENT","domain":"swiftlet",'
  .. '"metadata":{"field":"FIELD"}},'
  .. '{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":['
  .. '{"field":"FIELD","description":"TEXT","reason":"INVALID_ARGUMENT"}]}]}'

-- Our own local reply: {"code":3,"details":[...],"message":"..."}
local function name_the_field(handle)
  local body = handle:body()
  local json = body:getBytes(0, body:length())
  local code, message = json:match('"code":(%d+)'), json:match('"message":"(.*)"}%s*$')
  local field, text = at_fault(message or "")
  if field ~= nil then
    body:setBytes((TEMPLATE:gsub("%u%u%u%u%u?", { CODE = code, FIELD = field, TEXT = text })))
  end
end

function envoy_on_response(handle)
  local headers, success = handle:headers(), handle:metadata():get("success")
  local refused = headers:get("x-swiftlet-refused")
  headers:remove("x-swiftlet-refused")
  if refused ~= nil then return name_the_field(handle) end
  local content_type = headers:get("content-type") or ""
  if success == nil or content_type:match("^application/grpc") then return end  -- not REST
  local code = headers:get("x-http-code") or success  -- the service's word first
  for _, name in ipairs({ "x-http-code", "grpc-status", "grpc-message", "grpc-accept-encoding" }) do
    headers:remove(name)
  end
  if content_type ~= "application/json" then return end  -- a raw body, a stream
  if headers:get(":status") ~= "200" or not STATUS[code] then return end
  headers:replace(":status", code)
  if code == "204" then without_body(handle, headers) end
end
