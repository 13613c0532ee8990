package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/config"
)

const (
	// MostSkew is how far the clock of this machine may be from that of C1: what it signs
	// for C1 is good for two minutes around its own time.
	MostSkew = 5 * time.Minute
	// SuspectSkew is from when the difference is worth a warning.
	SuspectSkew = 30 * time.Second
)

// notSecureEnough is the error of the SDK's credential provider (pkg/ugrpc of v0.25.0) where
// it has got a token, and there is no connection to send it on.
const notSecureEnough = "connection is not secure enough to send credentials"

// Check tries an upload's credentials: a token is fetched from C1, and nothing changes there.
// skew is how far the clock of this machine is ahead of that of C1, which is also an error
// from MostSkew on; 0 where it is not known.
func Check(ctx context.Context, upload *config.Upload, version string) (skew time.Duration, err error) {
	c, err := newClient(unchanging(upload), version)
	if err != nil {
		return 0, err
	}
	defer c.close()
	skew = clockSkew(ctx, c.addr)
	_, err = c.creds.GetRequestMetadata(ctx)
	if err != nil && strings.Contains(err.Error(), notSecureEnough) {
		err = nil
	}
	switch {
	case skew.Abs() >= MostSkew && (err == nil || status.Code(err) == codes.Unauthenticated):
		return skew, fmt.Errorf("%s, which C1 does not accept; set the clock, by NTP for example", SkewWords(skew))
	case err == nil:
		return skew, nil
	case status.Code(err) == codes.Unauthenticated:
		return skew, &RefusedError{Upload: upload.Name, Cause: errors.New(status.Convert(err).Message())}
	}
	return skew, c.explain(err)
}

// SkewWords says how far the clock of this machine is off, and in which direction.
func SkewWords(skew time.Duration) string {
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("the clock of this machine is %s %s that of C1", skew.Abs().Round(time.Second), direction)
}

// clockSkew is how far the clock of this machine is ahead of the one that dates the answers
// of C1's token endpoint; 0 where that is not known.
func clockSkew(ctx context.Context, addr string) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+addr+"/auth/v1/token", nil)
	if err != nil {
		return 0
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	sent := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return 0 // To fetch the token fails too, and says why.
	}
	_ = response.Body.Close()
	received := time.Now()
	// The header is of whole seconds, and of some moment between the two.
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0
	}
	switch latest := date.Add(time.Second); {
	case sent.After(latest):
		return sent.Sub(latest)
	case received.Before(date):
		return received.Sub(date)
	}
	return 0
}
