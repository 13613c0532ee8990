package scim_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/scim"
)

// limitOf is the rate limit that an error has, nil for none.
func limitOf(t *testing.T, st *status.Status) *v2.RateLimitDescription {
	t.Helper()
	for _, detail := range st.Details() {
		if limit, ok := detail.(*v2.RateLimitDescription); ok {
			return limit
		}
	}
	return nil
}

// TestRateLimit: a rate limit is one whatever its status is, and what is none stays what it
// is.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		httpStatus int
		header     map[string]string
		body       string
		isLimit    bool
		most       time.Duration // of the wait
	}{
		"429":                                  {429, nil, "", true, time.Minute},
		"420":                                  {420, nil, "", true, time.Minute},
		"403 with Retry-After":                 {403, map[string]string{"Retry-After": "30"}, "", true, 30 * time.Second},
		"403 with Retry-After, no time":        {403, map[string]string{"Retry-After": "soon"}, "", true, time.Minute},
		"403 with a wait in milliseconds":      {403, map[string]string{"retry-after-ms": "30000"}, "", true, 30 * time.Second},
		"429 with a wait in milliseconds":      {429, map[string]string{"x-ms-retry-after-ms": "90000"}, "", true, 90 * time.Second},
		"429 with both":                        {429, map[string]string{"Retry-After": "30", "Retry-After-Ms": "29500"}, "", true, 30 * time.Second},
		"403, a request limit":                 {403, nil, `[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]`, true, time.Minute},
		"403, a quota of requests":             {403, nil, `{"error":{"code":"quotaExceeded","message":"Quota exceeded for this minute"}}`, true, time.Minute},
		"403, a license limit":                 {403, nil, `{"detail":"License limit exceeded"}`, false, 0},
		"403, X-RateLimit-Remaining":           {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "60", "X-RateLimit-Reset": "in 20 seconds"}, "", true, 21 * time.Second},
		"403, X-RateLimit-Remaining only":      {403, map[string]string{"X-RateLimit-Remaining": "0"}, "", true, time.Minute},
		"403, RateLimit-Remaining":             {403, map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "20"}, "", true, 21 * time.Second},
		"403, RateLimit-Remaining of a window": {403, map[string]string{"RateLimit-Remaining": "0, 0;w=60"}, "", true, time.Minute},
		"403, X-Rate-Limit-Remaining":          {403, map[string]string{"X-Rate-Limit-Remaining": "0"}, "", true, time.Minute},
		"403, RateLimit":                       {403, map[string]string{"RateLimit": "limit=100, remaining=0, reset=20"}, "", true, time.Minute},
		"403, RateLimit as a structure":        {403, map[string]string{"RateLimit": `"default";r=0;t=20`}, "", true, time.Minute},
		"403, a secondary rate limit":          {403, map[string]string{"X-RateLimit-Remaining": "4000"}, `{"message":"You have exceeded a secondary rate limit."}`, true, time.Minute},
		"403, a name of it":                    {403, nil, `{"error":{"errors":[{"reason":"userRateLimitExceeded"}],"code":403}}`, true, time.Minute},
		"403, throttled":                       {403, nil, `{"Errors":[{"description":"Request was throttled","code":"403"}]}`, true, time.Minute},
		"400, throttled":                       {400, nil, `{"__type":"ThrottlingException","message":"Rate exceeded"}`, true, time.Minute},

		"403":                         {403, nil, "", false, 0},
		"403, requests are left":      {403, map[string]string{"X-RateLimit-Remaining": "42"}, "", false, 0},
		"403, ten are left":           {403, map[string]string{"X-RateLimit-Remaining": "10"}, "", false, 0},
		"403, RateLimit with some":    {403, map[string]string{"RateLimit": `"default";r=50;t=0`}, "", false, 0},
		"403, words of another kind":  {403, nil, `{"message":"This plan has no SCIM"}`, false, 0},
		"401 with Retry-After":        {401, map[string]string{"Retry-After": "30"}, "", false, 0},
		"400, no requests are left":   {400, map[string]string{"X-RateLimit-Remaining": "0"}, "", false, 0},
		"404 about rates of exchange": {404, nil, `{"message":"no rate is known"}`, false, 0},
	} {
		t.Run("R4: "+name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			st := listFails(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				for key, value := range c.header {
					if value == "in 20 seconds" {
						value = strconv.FormatInt(time.Now().Add(20*time.Second).Unix(), 10)
					}
					w.Header().Set(key, value)
				}
				serve(c.httpStatus, "application/json", c.body).ServeHTTP(w, r)
			}))
			now := time.Now()
			limit := limitOf(t, st)
			if !c.isLimit {
				require.NotEqual(t, codes.Unavailable, st.Code())
				require.Nil(t, limit)
				if c.httpStatus == http.StatusForbidden {
					require.Equal(t, codes.PermissionDenied, st.Code())
					require.Contains(t, st.Message(), "the token may not list users")
				}
				return
			}
			require.Equal(t, codes.Unavailable, st.Code())
			require.Contains(t, st.Message(), "too many requests. The sync goes on when the app allows it.")
			require.NotContains(t, st.Message(), "may not list")
			require.NotNil(t, limit)
			require.Equal(t, v2.RateLimitDescription_STATUS_OVERLIMIT, limit.GetStatus())
			require.LessOrEqual(t, limit.GetResetAt().AsTime().Sub(now), c.most)
			require.Equal(t, 1, requests, "the connector does not retry")
		})
	}
	t.Run("R4: in the middle of a list, and for a probe", func(t *testing.T) {
		t.Parallel()
		a := sorting(newApp(200))
		limited := map[string]bool{}
		connector := newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.mu.Lock()
			page := r.URL.Query().Get("startIndex") + r.URL.Query().Get("sortBy")
			isFirst := !limited[page]
			limited[page] = true
			a.mu.Unlock()
			if isFirst {
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.WriteHeader(http.StatusForbidden)
				return
			}
			a.ServeHTTP(w, r)
		})))
		received, failures, token := map[string]bool{}, 0, ""
		for more := true; more; {
			list, next, err := listOnce(t.Context(), connector, token)
			if err != nil {
				st := requireFailure(t, err)
				require.Equal(t, codes.Unavailable, st.Code(), st.Message())
				require.NotNil(t, limitOf(t, st))
				failures++
				require.Less(t, failures, 20)
				continue
			}
			for _, account := range list {
				received[account.GetId().GetResource()] = true
			}
			token, more = next, next != ""
		}
		require.Len(t, received, 200)
		require.True(t, limited["id"], "the probe was made")
	})
	t.Run("R4: of the endpoint of tokens", func(t *testing.T) {
		t.Parallel()
		issuer := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": "slow down"})
		}))
		client, err := scim.NewClient(t.Context(), scim.Options{
			BaseURL: start(t, newApp(1)), UserAgent: "baton-test/v1", ClientID: "reader", ClientSecret: "canary-4f9d2c7b", TokenURL: issuer,
		})
		require.NoError(t, err)
		_, _, err = listOnce(t.Context(), serveConnector(t, client), "")
		st := requireFailure(t, err)
		require.Equal(t, codes.Unavailable, st.Code())
		require.NotNil(t, limitOf(t, st))
		require.Contains(t, st.Message(), "too many requests. The sync goes on when the app allows it. It answered: slow down")
	})
}

// TestRetryAfter_Limit: a time is read in every form in use; a wait above the limit counts as
// the limit, and is announced.
func TestRetryAfter_Limit(t *testing.T) {
	t.Parallel()
	now := time.Now()
	unix := func(after time.Duration) string { return strconv.FormatInt(now.Add(after).Unix(), 10) }
	for name, c := range map[string]struct {
		httpStatus  int
		header      map[string]string
		least, most time.Duration
		isAnnounced bool
	}{
		"Unix time":                       {429, map[string]string{"Retry-After": unix(90 * time.Second)}, 60 * time.Second, 90 * time.Second, false},
		"Unix time with a fraction":       {429, map[string]string{"Retry-After": unix(90*time.Second) + ".25"}, 60 * time.Second, 91 * time.Second, false},
		"Unix time in milliseconds":       {429, map[string]string{"Retry-After": unix(90*time.Second) + "000"}, 60 * time.Second, 90 * time.Second, false},
		"Unix time in microseconds":       {429, map[string]string{"Retry-After": unix(90*time.Second) + "000000"}, 60 * time.Second, 90 * time.Second, false},
		"Unix time, the server's clock":   {429, map[string]string{"Retry-After": "1500000090", "Date": "Fri, 14 Jul 2017 02:40:00 GMT"}, 60 * time.Second, 90 * time.Second, false},
		"Unix time in the past":           {429, map[string]string{"Retry-After": unix(-90 * time.Second)}, 0, time.Second, false},
		"Unix time beyond the limit":      {429, map[string]string{"Retry-After": unix(5 * time.Hour)}, 50 * time.Minute, time.Hour, true},
		"Unix time of a 403":              {403, map[string]string{"Retry-After": unix(90 * time.Second)}, 60 * time.Second, 90 * time.Second, false},
		"Unix time of a 503":              {503, map[string]string{"Retry-After": unix(90 * time.Second)}, 60 * time.Second, 90 * time.Second, false},
		"seconds beyond the limit":        {429, map[string]string{"Retry-After": "86400"}, 50 * time.Minute, time.Hour, true},
		"seconds at the limit":            {429, map[string]string{"Retry-After": "3600"}, 50 * time.Minute, time.Hour, false},
		"a date beyond the limit":         {429, map[string]string{"Retry-After": now.Add(5 * time.Hour).UTC().Format(http.TimeFormat)}, 50 * time.Minute, time.Hour, true},
		"a date with a zone":              {429, map[string]string{"Retry-After": now.Add(90 * time.Second).UTC().Format(time.RFC1123Z)}, 60 * time.Second, 90 * time.Second, false},
		"a date of ISO 8601":              {429, map[string]string{"Retry-After": now.Add(90 * time.Second).UTC().Format(time.RFC3339)}, 60 * time.Second, 90 * time.Second, false},
		"a unit":                          {429, map[string]string{"Retry-After": "90s"}, 60 * time.Second, 90 * time.Second, false},
		"negative":                        {429, map[string]string{"Retry-After": "-1700000000"}, 50 * time.Second, time.Minute, false},
		"absurd":                          {429, map[string]string{"Retry-After": "1e300"}, 50 * time.Minute, time.Hour, true},
		"absurd, of a 503":                {503, map[string]string{"Retry-After": "99999999999999999999"}, 50 * time.Minute, time.Hour, true},
		"X-RateLimit-Reset in years":      {429, map[string]string{"X-RateLimit-Reset": "900000000"}, 50 * time.Minute, time.Hour, true},
		"X-RateLimit-Reset in a few days": {403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": unix(50 * time.Hour)}, 50 * time.Minute, time.Hour, true},
	} {
		t.Run("R11: "+name, func(t *testing.T) {
			t.Parallel()
			core, logged := observer.New(zap.WarnLevel)
			ctx := ctxzap.ToContext(t.Context(), zap.New(core))
			connector := newConnector(t, start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for key, value := range c.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(c.httpStatus)
			})))
			_, _, err := listOnce(ctx, connector, "")
			limit := limitOf(t, requireFailure(t, err))
			require.NotNil(t, limit)
			// The test may be slow, which makes a wait until a time shorter.
			wait := limit.GetResetAt().AsTime().Sub(now)
			require.GreaterOrEqual(t, wait, c.least)
			require.LessOrEqual(t, time.Until(limit.GetResetAt().AsTime()), c.most)

			announced := logged.FilterMessage("scim: the app asks for a longer wait than is accepted; the limit counts in its place").All()
			if !c.isAnnounced {
				require.Empty(t, announced)
				return
			}
			require.Len(t, announced, 1)
			require.Equal(t, time.Hour, announced[0].ContextMap()["limit"])
			require.Greater(t, announced[0].ContextMap()["asked"], time.Hour)
		})
	}
}
