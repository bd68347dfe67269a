-- What is checked before anything else reads a request.

-- The reply goes through the mappers of replies.py and then through response.lua, which names the field.
local function refuse(handle, status, text)
  handle:respond({ [":status"] = status }, text)
end

-- A page of a stranger in the user's browser must not start or stop anything. Browsers name the page's
-- origin in every request that changes something; nobody else does.
local SAFE = { GET = true, HEAD = true, OPTIONS = true }

local function is_foreign(headers)
  local origin = headers:get("origin")
  if origin == nil or SAFE[headers:get(":method")] then return false end
  local host = origin:match("^%a[%w+.-]*://(.+)$")
  return host ~= headers:get(":authority") and not ALLOWED_ORIGINS[origin] and not ALLOWED_ORIGINS["*"]
end

local function has_body(handle, headers)
  local length = headers:get("content-length")
  if length ~= nil then return length ~= "0" end
  if SAFE[headers:get(":method")] then return false end
  local body = handle:body()  -- chunks, or HTTP/2. Yields; `headers` may not be used afterwards
  return body ~= nil and body:length() > 0
end

local function is_json(content_type)
  return content_type:match("^%s*application/json%s*$") or content_type:match("^%s*application/json%s*;")
end

-- gRPC can't read a string that is not UTF-8, and its error would be ours instead of the client's.
local SEQUENCES = { "[\194-\223][\128-\191]", "[\224-\239][\128-\191][\128-\191]",
  "[\240-\244][\128-\191][\128-\191][\128-\191]" }

local function is_utf8(path)
  if not path:find("%%[89A-Fa-f]") and not path:find("[\128-\255]") then return true end
  local text = path:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  if text:find("\237[\160-\191]") or text:find("\224[\128-\159]") or text:find("\240[\128-\143]")
    or text:find("\244[\144-\191]") then return false end  -- surrogates, overlong forms, beyond U+10FFFF
  for length = #SEQUENCES, 1, -1 do text = text:gsub(SEQUENCES[length], "") end
  return not text:find("[\128-\255]")
end

-- HTTP allows header names that gRPC answers with an error of its own, and so it does to what it can't decode.
-- A deadline (grpc-timeout) is the gateway's to set on this side.
local function drop_what_grpc_refuses(headers)
  local refused = {}
  for name in pairs(headers) do
    if name:find("[^%w_.:-]") or name:find("%-bin$") or name:find("^grpc%-") then refused[#refused + 1] = name end
  end
  for _, name in ipairs(refused) do headers:remove(name) end
end

local function to_model_server(headers, path)
  local id = path:match("^/serve/([%w._-]+)")
  if id == nil then return false end
  headers:replace("x-swiftlet-serve", "serve_" .. id)
  headers:replace("x-forwarded-prefix", "/serve/" .. id)
  return true
end

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove("x-swiftlet-serve")
  headers:remove("x-swiftlet-rest")
  if is_foreign(headers) then
    return refuse(handle, "403", "origin: a page of another site may not change anything here; "
      .. "if it should, name it in CORS_ALLOW_ORIGINS")
  end
  local path, content_type = headers:get(":path") or "", (headers:get("content-type") or ""):lower()
  if content_type:match("^application/grpc") or to_model_server(headers, path) then return end
  headers:replace("x-swiftlet-rest", "1")
  drop_what_grpc_refuses(headers)
  if not is_utf8(path) then
    return refuse(handle, "400", "path: is not UTF-8 where it is percent-encoded")
  end
  if not is_json(content_type) and has_body(handle, headers) then
    return refuse(handle, "415", "content-type: must be application/json where there is a body")
  end
end
