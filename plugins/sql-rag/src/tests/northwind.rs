//! A trading company's database: names with blanks, keys that are texts, views,
//! several dates to an order, no total of one.

use super::database::northwind;

const LINES: &str = "\"Order Details\" d JOIN Orders o USING (OrderID)";

#[test]
fn counts_and_lists() {
    let Some(db) = northwind() else { return };
    for (sql, columns, questions) in [
        (
            "SELECT count(*) FROM Customers",
            &["customers"][..],
            &["how many customers are there", "number of customers"][..],
        ),
        (
            "SELECT count(*) FROM Orders WHERE OrderDate LIKE '1997%'",
            &["orders"],
            &[
                "how many orders were placed in 1997",
                "number of orders in 1997",
                "how many 1997 orders are there",
            ],
        ),
        (
            "SELECT OrderID FROM Orders WHERE ShippedDate LIKE '1997%'",
            &["OrderID"],
            &["orders shipped in 1997", "orders that were shipped during 1997"],
        ),
        (
            "SELECT OrderID FROM Orders WHERE ShipCountry = 'Germany'",
            &["OrderID"],
            &["orders shipped to Germany", "orders with ship country Germany"],
        ),
        (
            "SELECT ProductID FROM Products JOIN Categories USING (CategoryID) WHERE CategoryName = 'Beverages'",
            &["ProductID"],
            &[
                "products in the category Beverages",
                "all beverages products",
                "products in Beverages",
            ],
        ),
        (
            "SELECT ProductID FROM Products JOIN Suppliers s USING (SupplierID) WHERE s.CompanyName = 'Exotic Liquids'",
            &["ProductID"],
            &[
                "products supplied by Exotic Liquids",
                "products of the supplier Exotic Liquids",
                "products from Exotic Liquids",
            ],
        ),
        (
            "SELECT ProductID FROM Products JOIN Suppliers s USING (SupplierID) WHERE s.Country = 'Japan'",
            &["ProductID"],
            &[
                "products from suppliers in Japan",
                "products of Japanese suppliers",
            ],
        ),
        (
            "SELECT ProductID FROM Products WHERE Discontinued = '1'",
            &["ProductID"],
            &[
                "discontinued products",
                "products that are discontinued",
                "which products are discontinued?",
            ],
        ),
        (
            "SELECT ProductID FROM Products WHERE UnitsInStock < 10",
            &["ProductID"],
            &[
                "products with less than 10 units in stock",
                "products whose units in stock are below 10",
            ],
        ),
        (
            "SELECT DISTINCT o.CustomerID FROM \"Order Details\" d JOIN Orders o USING (OrderID) WHERE d.ProductID = 1",
            &["CustomerID"],
            &["customers who ordered Chai", "which customers bought Chai"],
        ),
        (
            "SELECT CustomerID FROM Customers WHERE Country = 'UK'",
            &["CustomerID"],
            &[
                "customers from the UK",
                "British customers",
                "customers in Great Britain",
            ],
        ),
        (
            "SELECT UnitPrice FROM Products WHERE ProductName = 'Chai'",
            &["UnitPrice"],
            &[
                "price of Chai",
                "how much is Chai?",
                "what does Chai cost",
                "what is the unit price of Chai",
            ],
        ),
        (
            "SELECT ProductName, UnitPrice FROM Products ORDER BY UnitPrice DESC LIMIT 10",
            &["ProductName", "UnitPrice"],
            &[
                "ten most expensive products",
                "the most expensive products",
                "top 10 products by price",
            ],
        ),
    ] {
        db.same(sql, columns, questions);
    }
}

#[test]
fn measures_across_tables() {
    let Some(db) = northwind() else { return };
    let revenue = "sum(d.Quantity * d.UnitPrice * (1 - d.Discount))";
    let of = |rest: &str| rest.replace("REVENUE", revenue).replace("LINES", LINES);
    for (sql, columns, questions) in [
        (
            "SELECT CategoryName, REVENUE FROM LINES JOIN Products USING (ProductID) JOIN Categories USING (CategoryID) GROUP BY CategoryID",
            &["CategoryName", "revenue"][..],
            &[
                "revenue by category",
                "total sales per category",
                "sales for each category",
            ][..],
        ),
        (
            "SELECT substr(o.OrderDate, 1, 4), REVENUE FROM LINES GROUP BY 1",
            &["year", "revenue"],
            &["total sales per year", "yearly revenue"],
        ),
        (
            "SELECT e.LastName, REVENUE FROM LINES JOIN Employees e USING (EmployeeID) WHERE o.OrderDate LIKE '1997%' GROUP BY EmployeeID ORDER BY 2 DESC LIMIT 3",
            &["LastName", "revenue"],
            &[
                "top 3 employees by revenue in 1997",
                "the three employees with the highest revenue in 1997",
            ],
        ),
        (
            "SELECT p.ProductName, sum(d.Quantity) FROM LINES JOIN Products p USING (ProductID) GROUP BY ProductID ORDER BY 2 DESC, 1 LIMIT 10",
            &["ProductName", "quantity"],
            &["best selling products", "what are the best-selling products?"],
        ),
        (
            "SELECT c.CompanyName, count(*) FROM Orders o JOIN Customers c USING (CustomerID) GROUP BY CustomerID ORDER BY 2 DESC, 1 LIMIT 5",
            &["CompanyName", "orders"],
            &[
                "top 5 customers by number of orders",
                "the 5 customers with the most orders",
                "customers with the most orders, top five",
            ],
        ),
        (
            "SELECT CategoryName, avg(UnitPrice) FROM Products JOIN Categories USING (CategoryID) GROUP BY CategoryID",
            &["CategoryName", "average_unit_price"],
            &[
                "average price per category",
                "average price of products by category",
                "mean product price in each category",
            ],
        ),
        (
            "SELECT s.CompanyName, count(*) FROM Orders JOIN Shippers s ON s.ShipperID = ShipVia GROUP BY ShipperID",
            &["CompanyName", "orders"],
            &[
                "number of orders per shipper",
                "how many orders does each shipper have",
            ],
        ),
        (
            "SELECT ShipCountry, sum(Freight) FROM Orders GROUP BY ShipCountry",
            &["ShipCountry", "total_freight"],
            &["total freight by country", "sum of freight per ship country"],
        ),
        (
            "SELECT c.CategoryName, count(*) FROM Products JOIN Categories c USING (CategoryID) GROUP BY CategoryID",
            &["CategoryName", "products"],
            // There is a view of this name; a question is not about views.
            &["products by category", "how many products are in each category"],
        ),
    ] {
        db.same(&of(sql), columns, questions);
    }
}

#[test]
fn declines_what_the_tables_do_not_tell() {
    let Some(db) = northwind() else { return };
    // An order has no total of its own, its freight is none, and several tables
    // have a unit price.
    db.declines(&[
        "largest order",
        "most expensive order",
        "average order value",
        "average unit price",
        "orders over 100",
    ]);
    db.declines(&[
        "employees older than 50",
        "who does Nancy Davolio report to",
        "customers with no orders",
    ]);
}
