package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/batonhost/baton-host/host/internal/config"
)

const (
	// postTimeout bounds one attempt, with its secret.
	postTimeout = 30 * time.Second
	// answerTimeout bounds how long the receiver may take.
	answerTimeout = 10 * time.Second
	// drained is how much is read of an answer, so that the connection can be used again.
	drained = 16 << 10
)

// client follows no redirect: what is signed is for one receiver.
var client = &http.Client{
	Timeout: answerTimeout,
	Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		MaxIdleConns: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: answerTimeout, MaxResponseHeaderBytes: 64 << 10,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// post posts a body once, signed as Standard Webhooks has it. The URL and the key are resolved
// for it. The error names the host at most, and nothing of the answer but its status.
func post(ctx context.Context, cfg *config.Config, id, version string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	hook, err := cfg.Webhook(ctx)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return errors.New("url is not a URL") // Its own error repeats it.
	}
	now := time.Now()
	request.Header = http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {"baton-host/" + version},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {sign([]byte(hook.Key.Reveal()), id, now, body)},
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the webhook at %s cannot be reached: %w", hook.Host, withoutURL(err))
	}
	_, _ = io.CopyN(io.Discard, answer.Body, drained)
	_ = answer.Body.Close()
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return fmt.Errorf("the webhook at %s answers %d %s: no redirect is followed, so put the final URL into notify", hook.Host, code, http.StatusText(code))
	default:
		return fmt.Errorf("the webhook at %s answers %d %s", hook.Host, code, http.StatusText(code))
	}
}

// withoutURL returns the cause of an error of the client, which repeats the URL.
func withoutURL(err error) error {
	if of, ok := errors.AsType[*url.Error](err); ok {
		return of.Err
	}
	return err
}

// sign returns the signature of a message: version 1 of Standard Webhooks.
func sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
