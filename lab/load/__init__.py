"""`invoke load`: requests against the iris service as a class would send them, and what the cluster does about it.

patterns    how many requests a second, at every moment
client      sends them over raw connections, on time, whatever the answers do
samples     what came of them, second by second
watch       replicas, CPU and releases, read from the cluster beside it
events      what is killed on the way
run         puts these together, a live line a second
report      the table, picture the SVG
"""
