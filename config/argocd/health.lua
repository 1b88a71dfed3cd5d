-- Argo CD's health of a SegmentPolicy, from the conditions that the operator writes.
-- Argo CD runs this as Lua 5.1 without the library for strings: keep to the language itself.

local function answer(status, message)
  return { status = status, message = message }
end

-- An empty map: an object that nobody has looked at yet has no conditions.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function message(name)
  return conditions[name] ~= nil and conditions[name].message or ""
end

-- What a person should look at does not make it less healthy.
local function withWarnings(text)
  if holds("Warnings") then
    return text .. " (warning: " .. message("Warnings") .. ")"
  end
  return text
end

if obj.metadata.deletionTimestamp ~= nil then
  return answer("Progressing", "Being deleted")
end

-- -1 until the operator has seen the object for the first time; behind the generation after each edit.
if status.observedGeneration ~= obj.metadata.generation then
  return answer("Progressing", "Waiting for the operator to look at generation " .. obj.metadata.generation)
end

-- Only an edit helps. A suspended policy that differs from what is live is stalled too, and as it was asked to be.
if holds("Stalled") and conditions.Stalled.reason ~= "Suspended" then
  return answer("Degraded", message("Stalled"))
end

if holds("Degraded") then
  return answer("Degraded", message("Degraded"))
end

if obj.spec.suspend then
  return answer("Suspended", withWarnings(message("Ready")))
end

if holds("Reconciling") then
  return answer("Progressing", message("Reconciling"))
end

if holds("Ready") then
  return answer("Healthy", withWarnings(message("Ready")))
end

return answer("Progressing", "Waiting for the condition Ready")
