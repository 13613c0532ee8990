package aws

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	// skew is how much a request's time may differ.
	skew = 5 * time.Minute
)

// refusal is an error by its code in the protocol.
type refusal struct{ code, message string }

// Error returns the code.
func (r refusal) Error() string { return r.code }

// checkSignature computes the signature of a request as in "Create a signed AWS API request".
func (s *Server) checkSignature(request *http.Request, body []byte, service string) error {
	scheme, rest, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	if scheme != algorithm {
		return refusal{"MissingAuthenticationTokenException", "the request is not signed"}
	}
	given := map[string]string{}
	for one := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		given[key] = value
	}
	scope := strings.Split(given["Credential"], "/")
	at, err := time.Parse(timeFormat, request.Header.Get("X-Amz-Date"))
	switch {
	case err != nil || len(scope) != 5 || scope[4] != "aws4_request" || scope[1] != at.Format("20060102"):
		return refusal{"IncompleteSignature", "the credential's scope is malformed"}
	case scope[0] != s.options.AccessKeyID:
		return refusal{"UnrecognizedClientException", "The security token included in the request is invalid."}
	case scope[2] != s.options.Region || scope[3] != service:
		return refusal{"InvalidSignatureException", "Credential should be scoped to a valid region."}
	case time.Since(at).Abs() > skew:
		return refusal{"InvalidSignatureException", "Signature expired"}
	case request.Header.Get("X-Amz-Security-Token") != s.options.SessionToken:
		return refusal{"ExpiredTokenException", "The security token included in the request is expired"}
	}
	text, err := canonical(request, body, strings.Split(given["SignedHeaders"], ";"))
	if err != nil {
		return err
	}
	toSign := strings.Join([]string{algorithm, at.Format(timeFormat), strings.Join(scope[1:], "/"), digest([]byte(text))}, "\n")
	key := []byte("AWS4" + s.options.SecretAccessKey)
	for _, part := range scope[1:] {
		key = sum(key, part)
	}
	if signature := hex.EncodeToString(sum(key, toSign)); !hmac.Equal([]byte(signature), []byte(given["Signature"])) {
		// As the service does, with what it has computed.
		return refusal{"InvalidSignatureException", "The request signature we calculated does not match. The Canonical String for this request should have been '" + text + "'"}
	}
	return nil
}

// canonical returns the canonical request. Both services are asked at / without a query.
func canonical(request *http.Request, body []byte, signed []string) (string, error) {
	for _, name := range []string{"host", "x-amz-date", "x-amz-target"} {
		if !slices.Contains(signed, name) {
			return "", refusal{"InvalidSignatureException", name + " must be signed"}
		}
	}
	if !slices.IsSorted(signed) || request.URL.Path != "/" || request.URL.RawQuery != "" {
		return "", errors.New("the request is not of these protocols")
	}
	var headers strings.Builder
	for _, name := range signed {
		value := strings.Join(request.Header.Values(name), ",")
		switch name {
		case "host":
			value = request.Host
		case "content-length": // net/http takes it out of the header.
			value = lengthOf(request)
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	return strings.Join([]string{request.Method, "/", "", headers.String(), strings.Join(signed, ";"), digest(body)}, "\n"), nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
