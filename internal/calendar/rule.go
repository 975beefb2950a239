package calendar

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Easter gives Easter Sunday of the Gregorian calendar (the anonymous
// algorithm printed in Nature, 20 April 1876).
func Easter(year int) Date {
	a, b, c := year%19, year/100, year%100
	d, e, f := b/4, b%4, (b+8)/25
	g := (b - f + 1) / 3
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	n := h + l - 7*m + 114
	return MakeDate(year, time.Month(n/31), n%31+1)
}

// dayRule computes the dates of a holiday in a year.
type dayRule func(year int) []Date

var (
	fixedForm  = regexp.MustCompile(`^(\d\d)-(\d\d)$`)
	easterForm = regexp.MustCompile(`^easter([+-]\d{1,3})?$`)
	nthForm    = regexp.MustCompile(`^(1st|2nd|3rd|4th|last) (sun|mon|tue|wed|thu|fri|sat)(?: (\d\d))?$`)
)

var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func weekday(s string) (time.Weekday, bool) {
	for i, d := range dayNames {
		if d == s {
			return time.Weekday(i), true
		}
	}
	return 0, false
}

// parseRule reads when a holiday is: "12-25", "easter-2", "3rd mon 01",
// "last mon 05", or without a month, every month: "2nd sat".
func parseRule(s string) (dayRule, error) {
	if m := fixedForm.FindStringSubmatch(s); m != nil {
		month, _ := strconv.Atoi(m[1])
		day, _ := strconv.Atoi(m[2])
		if month < 1 || month > 12 || day < 1 || MakeDate(2024, time.Month(month), day) != Date(20240000+month*100+day) {
			return nil, fmt.Errorf("%q is not a day of the year", s)
		}
		return func(y int) []Date {
			d := MakeDate(y, time.Month(month), day)
			if _, m, _ := d.Split(); int(m) != month { // 29 February of a common year
				return nil
			}
			return []Date{d}
		}, nil
	}
	if m := easterForm.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(strings.TrimPrefix(m[1], "+"))
		return func(y int) []Date { return []Date{Easter(y).Add(n)} }, nil
	}
	if m := nthForm.FindStringSubmatch(s); m != nil {
		day, _ := weekday(m[2])
		from, to := time.January, time.December
		if m[3] != "" {
			n, _ := strconv.Atoi(m[3])
			if n < 1 || n > 12 {
				return nil, fmt.Errorf("%q names no month", s)
			}
			from, to = time.Month(n), time.Month(n)
		}
		return func(y int) (ds []Date) {
			for month := from; month <= to; month++ {
				ds = append(ds, nth(y, month, m[1], day))
			}
			return ds
		}, nil
	}
	return nil, fmt.Errorf(`%q is not one of: 12-25, easter-2, "3rd mon 01", "last mon 05", "2nd sat"`, s)
}

func nth(y int, m time.Month, which string, day time.Weekday) Date {
	if which == "last" {
		last := MakeDate(y, m+1, 0)
		return last.Add(-(int(last.Weekday()-day+7) % 7))
	}
	first := MakeDate(y, m, 1)
	return first.Add(int(day-first.Weekday()+7)%7 + 7*(int(which[0]-'0')-1))
}

// observedDays gives the days off in lieu of holidays that fall on a weekend.
// nearest: Saturday's on Friday, Sunday's on Monday (5 USC 6103(b), EO 11582).
// next: on the next working day that is not itself a holiday (Banking and
// Financial Dealings Act 1971, sch. 1).
func observedDays(style string, falls []Date, taken map[Date]bool) (in []Date) {
	for _, d := range falls {
		wd := d.Weekday()
		if style == "" || wd != time.Saturday && wd != time.Sunday {
			in = append(in, 0)
			continue
		}
		if style == "nearest" {
			if wd == time.Saturday {
				in = append(in, d.Add(-1))
			} else {
				in = append(in, d.Add(1))
			}
			continue
		}
		for d = d.Add(1); taken[d] || d.Weekday() == time.Saturday || d.Weekday() == time.Sunday; {
			d = d.Add(1)
		}
		taken[d] = true
		in = append(in, d)
	}
	return in
}
