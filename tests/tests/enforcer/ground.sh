# A host, somebody inside and somebody outside, each in a network namespace that is named after $N.
for place in host inside outside; do
    ip netns add $N-$place
    ip -n $N-$place link set lo up
done
ip link add in netns $N-host type veth peer name eth netns $N-inside
ip link add out netns $N-host type veth peer name eth netns $N-outside
address() { ip -n $N-$1 addr add $3 dev $2 $4; }
address host in 10.99.1.1/24
address inside eth 10.99.1.2/24
address inside eth 10.99.1.254/24
address host out 203.0.113.1/24
for last in $(seq 2 40); do address outside eth 203.0.113.$last/24; done
address host in 2001:db8:1::1/64 nodad
address inside eth 2001:db8:1::2/64 nodad
address host out 2001:db8:bad::1/48 nodad
for net in 0 1 2; do address outside eth 2001:db8:bad:$net::2/48 nodad; done
for link in host:in inside:eth host:out outside:eth; do
    ip -n $N-${link%:*} link set ${link#*:} up
done
ip -n $N-host route add default nexthop via 10.99.1.254 nexthop via 10.99.1.253
ip -n $N-host -6 route add default nexthop via 2001:db8:1::fe nexthop via 2001:db8:1::fd
