-- SPDX-License-Identifier: Apache-2.0
-- wrk's script: sends the requests of a file in turn (separated by NUL; one may be several
-- pipelined requests) and prints the summary as one line of JSON.
local requests, next_request = {}, 0

function init(args)
    local file = assert(io.open(args[1], "rb"))
    for request in file:read("*a"):gmatch("%Z+") do
        requests[#requests + 1] = request
    end
    file:close()
end

function request()
    next_request = next_request % #requests + 1
    return requests[next_request]
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        'summary {"requests":%d,"duration_us":%d,"not_2xx":%d,"errors":%d,' ..
            '"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
