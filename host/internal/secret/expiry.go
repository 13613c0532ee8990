package secret

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"time"
)

// lifeOf returns since when a JSON web token is good and when it ends (RFC 7519 section 4.1,
// "iat" and "exp"), read from the token without verifying it; zero for any other text, and
// for what the token does not have.
func lifeOf(text string) (issued, expires time.Time) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || !strings.HasPrefix(parts[0], "ey") {
		return time.Time{}, time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Issued  any     `json:"iat"` // Whatever it is, the end counts.
		Expires float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expires <= 0 || claims.Expires > math.MaxInt32*100 {
		return time.Time{}, time.Time{}
	}
	if at, ok := claims.Issued.(float64); ok && at > 0 && at < claims.Expires {
		issued = time.Unix(int64(at), 0)
	}
	return issued, time.Unix(int64(claims.Expires), 0)
}

// LifeOf returns since when a credential that is no reference is good and when it ends, where
// it is a JSON web token, also behind "Bearer "; zero for any other text.
func LifeOf(text Text) (issued, expires time.Time) {
	return lifeOf(strings.TrimSpace(strings.TrimPrefix(text.Reveal(), "Bearer ")))
}
